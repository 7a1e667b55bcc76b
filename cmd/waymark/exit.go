// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"syscall"

	"github.com/spf13/cobra"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/plan"
	"waymark/loader"
)

// Exit codes; the root command's help says what each means.
const (
	exitDone = iota
	exitFailed
	exitDiffers
	exitPolicy
	exitConflict
	exitNotPermitted
)

// errDiffers is how `plan --exit-code` says that the kernel differs.
var errDiffers = errors.New("the kernel differs from the plan")

// Exit codes of `exec` for a command that did not run, and what is added to
// the signal that ended one, as in every shell.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
	exitSignal        = 128
)

// ended is how a command of `exec` ended that ran: its exit code. It has
// said itself what there was to say.
type ended int

func (e ended) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// startError is a command of `exec` that could not be started.
type startError struct{ error }

func (s *startError) Unwrap() error { return s.error }

func (s *startError) code() int {
	if errors.Is(s.error, exec.ErrNotFound) || errors.Is(s.error, fs.ErrNotExist) {
		return exitNotFound
	}
	return exitNotExecutable
}

// exit prints what went wrong and returns the code for it.
func (e env) exit(err error) int {
	code := exitCode(err)
	switch {
	case err == nil || errors.Is(err, errDiffers) || errors.Is(err, errSerious) || errors.As(err, new(ended)):
	case code == exitNotPermitted && errors.Is(err, fs.ErrPermission):
		fmt.Fprintf(e.stderr, "waymark: %s: run it as root, or with CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON\n", visible(err.Error()))
	default:
		fmt.Fprintf(e.stderr, "waymark: %s\n", visible(err.Error()))
	}
	return code
}

func exitCode(err error) int {
	var problems classes.Problems
	var conflicts plan.Conflicts
	var drift *loader.Drift
	var unsupported *datapath.Unsupported
	var command ended
	var start *startError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errDiffers), errors.Is(err, errDrift), errors.Is(err, errSerious):
		return exitDiffers
	case errors.As(err, &command):
		return int(command)
	case errors.As(err, &start):
		return start.code()
	case errors.As(err, &problems):
		return exitPolicy
	case errors.As(err, &conflicts), errors.As(err, &drift):
		return exitConflict
	case errors.As(err, &unsupported), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOSYS):
		return exitNotPermitted
	}
	return exitFailed
}

// usage adds where to look to an error of the command line.
func usage(c *cobra.Command, err error) error {
	return fmt.Errorf("%w: see `%s --help`", err, c.CommandPath())
}
