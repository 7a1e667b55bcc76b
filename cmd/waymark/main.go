// SPDX-License-Identifier: Apache-2.0

// Command waymark is the command line: it wires the rest, and is the only
// place that logs, exits and reads the environment.
package main

import (
	"context"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"waymark/internal/host"
	"waymark/internal/lab"
	"waymark/internal/witness"
)

// env is what a command may touch of the process it runs in.
type env struct {
	stdout, stderr io.Writer
	author         string          // who runs it, behind sudo
	stateDir       string          // of what outlives the machine's memory; "": nothing does
	done           <-chan struct{} // closed when they want it to end
	signals        *signals        // of this process; nil: it is none of the command's
	unheeded       []os.Signal     // that they had this process ignore
}

func main() {
	if lab.ClientMain() || witness.ClientMain() {
		return
	}
	unheeded := ignored(passed)
	ctx, signals := heed(unheeded)
	os.Exit(run(ctx, env{signals: signals, unheeded: unheeded, stdout: os.Stdout, stderr: os.Stderr, author: author(), stateDir: stateDir(), done: ctx.Done()}, os.Args[1:]))
}

// stateDir is what systemd gives a unit's StateDirectory=, or the same for who
// works on the machine's own network, or on one that `ip netns` has a name for.
// What is applied in any other network namespace ends with it.
func stateDir() string {
	if dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); dir != "" {
		return dir
	}
	if host.FirstNetns() || host.NetnsName() != "" {
		return "/var/lib/waymark"
	}
	return ""
}

// author is the user who runs this, behind sudo: by name, or by uid where
// there is no name.
func author() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	uid := strconv.Itoa(os.Getuid())
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return "uid " + uid
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, e env, args []string) int {
	root := newRoot(e)
	root.SetArgs(args)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	var began bool
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }
	c, err := root.ExecuteContextC(ctx)
	if err != nil && !began {
		err = usage(c, err)
	}
	return e.exit(err)
}
