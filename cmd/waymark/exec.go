// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"waymark/loader"
)

func newExec(e env) *cobra.Command {
	s := source{env: e}
	var class, user string
	c := &cobra.Command{
		Use:   "exec --class CLASS [--uid USER] -- COMMAND [ARGUMENT...]",
		Short: "Start a command in a class",
		Long: `Starts a command whose sockets are in a class from the first one on, whatever
the policy's matches say, in a cgroup of its own: where systemd keeps the
cgroups, a scope. Signals are passed on. The exit code is the command's, 128 and
the number of the signal that ended it, 127 if it does not exist, or 126 if it
cannot be started. With --uid it has that user's groups, and HOME, USER, LOGNAME
and SHELL of the user's; the rest of the environment stays as it is.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 || class == "" {
				return errors.New("exec needs --class CLASS and a command after --")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			as, err := identityOf(user)
			if err != nil {
				return err
			}
			signals := make(chan os.Signal, 16) // those that come before the command does are passed on, too
			if e.unheeded != nil {              // a command starts with them ignored, as without us
				signal.Ignore(e.unheeded...)
			}
			signal.Notify(signals, slices.DeleteFunc(slices.Clone(passed), signal.Ignored)...)
			defer signal.Stop(signals)
			return s.onHost(func(l *loader.Loader) error {
				place, err := l.Place(class)
				if errors.Is(err, fs.ErrNotExist) {
					return errors.New("nothing is applied in this network namespace: run `waymark apply`")
				}
				if err != nil {
					return err
				}
				defer place.Close()
				return e.runIn(place, as, args, signals)
			})
		},
	}
	c.Flags().SetInterspersed(false)
	c.Flags().StringVar(&class, "class", "", "`CLASS` of the applied policy")
	c.Flags().StringVar(&user, "uid", "", "`USER`, by name or number, to run the command as")
	return c
}

// passed are the signals that are handed on: what programs are told by. Others
// end or stop this process, or are its own.
var passed = []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGWINCH, syscall.SIGTERM, syscall.SIGHUP,
	syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGPWR}

// fromTerminal are those of them that a terminal sends to a whole group.
var fromTerminal = passed[:3]

// identity is who a command runs as: nil in both is who runs this.
type identity struct {
	credential  *syscall.Credential
	environment []string
}

// identityOf is a user with its groups, in this environment but for what says who
// somebody is: a program that finds root's HOME writes to it, or fails.
func identityOf(user string) (as identity, err error) {
	if user == "" {
		return as, nil
	}
	uid, err := loader.User(user)
	if err != nil {
		return as, err
	}
	gid, groups := loader.Groups(uid)
	account := loader.AccountOf(uid)
	return identity{&syscall.Credential{Uid: uid, Gid: gid, Groups: groups}, append(os.Environ(),
		"HOME="+account.Home, "USER="+account.Name, "LOGNAME="+account.Name, "SHELL="+account.Shell)}, nil
}

// runIn runs a command to its end. It stays in this process's group, so the
// terminal's signals and a shell's job control reach it as if it had been
// started alone.
func (e env) runIn(place *loader.Place, as identity, args []string, signals <-chan os.Signal) error {
	if args[0] == "" {
		return &startError{fmt.Errorf("start \"\": %w", exec.ErrNotFound)}
	}
	c := exec.Command(args[0], args[1:]...)
	if errors.Is(c.Err, exec.ErrDot) {
		c.Err = nil // who has a . in PATH wants what is there
	}
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, e.stdout, e.stderr
	c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(place.Dir.Fd()), Credential: as.credential}
	c.Env = as.environment
	if err := c.Start(); err != nil {
		return &startError{fmt.Errorf("start %s: %w", args[0], err)}
	}
	go passOn(signals, c.Process)
	err := c.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("wait for %s: %w", args[0], err)
	}
	status := c.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return ended(exitSignal + int(status.Signal()))
	}
	if code := status.ExitStatus(); code != 0 {
		return ended(code)
	}
	return nil
}

// ignored are those signals that whoever started this process had it ignore, as
// nohup does, or a shell with what it runs in the background; nil for none. It is
// asked before a signal is listened to, which ends that.
func ignored(signals []os.Signal) (out []os.Signal) {
	for _, s := range signals {
		if signal.Ignored(s) {
			out = append(out, s)
		}
	}
	return out
}

// passOn hands signals to the command, but for those of the terminal, which it
// has got itself.
func passOn(signals <-chan os.Signal, to *os.Process) {
	for s := range signals {
		if !slices.Contains(fromTerminal, s) || !foreground() {
			_ = to.Signal(s)
		}
	}
}

// foreground tells whether a terminal signals this process's group.
func foreground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
