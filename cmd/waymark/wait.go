// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"waymark/loader"
)

// longestWait is how far ahead something is carried out by itself.
const longestWait = 10 * 365 * 24 * time.Hour

// newWait is the verb of the process that carries out what has a deadline:
// startWait starts it, nobody else needs to.
func newWait(e env) *cobra.Command {
	s := source{env: e}
	c := &cobra.Command{
		Use:    "wait",
		Short:  "Sleep until what was applied goes back, and carry that out",
		Hidden: true,
		Args:   noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			signal.Ignore(syscall.SIGHUP)
			return s.onHost(func(l *loader.Loader) error { return l.Wait(c.Context(), renew) })
		},
	}
	s.cgroupFlag(c)
	return c
}

// renew goes on as the binary that has taken this one's place, by an upgrade say: what
// this one carried out would have its own programs and rules take the place of those.
func renew() {
	path, err := os.Executable()
	if err != nil {
		return
	}
	mine, mineErr := os.Stat("/proc/self/exe")
	now, nowErr := os.Stat(path)
	if mineErr == nil && nowErr == nil && !os.SameFile(mine, now) {
		_ = syscall.Exec(path, os.Args, []string{}) // what cannot be run leaves it to this one
	}
}

// startWait starts `waymark wait` so that it outlives this process, its
// terminal and its session: it has a session, no descriptor of ours, and a
// place in the cgroup root, where nothing ends it together with a login or a
// service.
func startWait(cgroupRoot string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// Kernels before 5.11 have no such call, and leave open what the shell did.
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	start := func(attr syscall.SysProcAttr) error {
		attr.Setsid = true
		c := exec.Command(self, "wait", "--cgroup-root", cgroupRoot)
		c.Dir, c.Env, c.SysProcAttr = "/", []string{}, &attr
		if err := c.Start(); err != nil {
			return err
		}
		return c.Process.Release()
	}
	root, err := os.Open(cgroupRoot)
	if err != nil {
		return err
	}
	defer root.Close()
	err = start(syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(root.Fd())})
	if err != nil {
		// A cgroup with controllers takes no processes beside its children.
		err = start(syscall.SysProcAttr{})
	}
	return err
}

// errNothingApplied is of a verb that needs something applied.
var errNothingApplied = errors.New("nothing is applied in this network namespace: run `waymark apply`")
