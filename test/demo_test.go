// SPDX-License-Identifier: Apache-2.0

package test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/host"
)

// TestDemoInterrupted presses Ctrl-C at several moments of the
// demonstration: nothing of it is left, and the machine is as it was.
func TestDemoInterrupted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: the demonstration makes network namespaces and cgroups")
	}
	for _, after := range []time.Duration{0, 50 * time.Millisecond, 150 * time.Millisecond, 400 * time.Millisecond} {
		t.Run(fmt.Sprint(after, " after its first word"), func(t *testing.T) {
			before := machine(t)
			pid, text, err := interrupt(t, exec.Command(binary(t), "demo"), after)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("%v, want exit code 1; it said:\n%s", err, text)
			}
			if left := demoLeft(t, pid); left != nil {
				t.Errorf("left %q; it said:\n%s", left, text)
			}
			if diff := cmp.Diff(before, machine(t)); diff != "" {
				t.Errorf("the machine has changed (-before +after):\n%s", diff)
			}
		})
	}
}

// interrupt starts a command, waits for its first word and then some, and
// sends SIGINT to all its processes, as a terminal does.
func interrupt(t *testing.T, c *exec.Cmd, after time.Duration) (pid int, text string, err error) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	var stderr bytes.Buffer
	c.Stdout, c.Stderr, c.SysProcAttr = write, &stderr, &syscall.SysProcAttr{Setpgid: true}
	err = c.Start()
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read.Read(make([]byte, 1)); err != nil {
		t.Errorf("it says nothing: %v", err)
	}
	time.Sleep(after)
	if err := syscall.Kill(-c.Process.Pid, syscall.SIGINT); err != nil {
		t.Error(err)
	}
	err = c.Wait()
	return c.Process.Pid, stderr.String(), err
}

// demoLeft are the cgroups and processes of a demonstration that has ended.
func demoLeft(t *testing.T, pid int) []string {
	t.Helper()
	root, err := host.CgroupRoot()
	if err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(root, fmt.Sprintf("waymark-lab-%d-*", pid)))
	if err != nil {
		t.Fatal(err)
	}
	if syscall.Kill(-pid, 0) == nil {
		left = append(left, fmt.Sprintf("processes of group %d", pid))
	}
	return left
}

// machine is what the machine itself has in the tables that a demonstration
// must not touch, and the pins of all namespaces.
func machine(t *testing.T) (state []string) {
	t.Helper()
	for _, family := range []string{"-4", "-6"} {
		for _, what := range [][]string{{"rule"}, {"route", "show", "table", "all"}} {
			out, err := exec.Command("ip", append([]string{family}, what...)...).Output()
			if err != nil {
				t.Fatal(err)
			}
			state = append(state, string(out))
		}
	}
	pins, err := filepath.Glob("/sys/fs/bpf/waymark/*")
	if err != nil {
		t.Fatal(err)
	}
	return append(state, pins...)
}
