// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// The CPUs of those who send, and of the process that TCP is sent to.
const (
	senderCPU = 0
	sinkCPU   = 1
)

// child is a process of this program that is spoken to by pipes.
type child struct {
	cmd  *lab.Cmd
	in   io.WriteCloser
	out  io.Reader
	err  bytes.Buffer
	free func() bool
}

func startChild(ctx context.Context, n *lab.Node, cgroup string, args ...string) (*child, error) {
	cmd, err := self(n, args...)
	if err != nil {
		return nil, err
	}
	c := &child{cmd: cmd.In(cgroup)}
	cmd.Stderr = &c.err
	if c.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if c.out, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c.free = context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	return c, nil
}

// self is this program as a command of a node.
func self(n *lab.Node, args ...string) (*lab.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return n.Command(path, args...), nil
}

// close ends the process, if there is one.
func (c *child) close() error {
	if c == nil {
		return nil
	}
	c.free()
	return c.cmd.Close()
}

// stderr is what the process complained of; it has ended.
func (c *child) stderr() string {
	_ = c.cmd.Close()
	return strings.TrimSpace(c.err.String())
}

// output runs a command with a text on its standard input to its end, or
// that of ctx, and returns what it printed.
func output(ctx context.Context, c *lab.Cmd, stdin string) (string, error) {
	if stdin != "" {
		c.Stdin = strings.NewReader(stdin)
	}
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := c.Start(); err != nil {
		return "", err
	}
	defer context.AfterFunc(ctx, func() { _ = c.Process.Kill() })()
	if err := c.Wait(); err != nil {
		return "", fmt.Errorf("%s: %w: %.2000s", filepath.Base(c.Path), errors.Join(err, ctx.Err()), bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// settleOn keeps the process on one CPU, the calling goroutine on one
// thread, and the garbage collector out.
func settleOn(cpu int) error {
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	var set unix.CPUSet
	set.Set(cpu)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, _ := strconv.Atoi(t.Name())
		if err := unix.SchedSetaffinity(id, &set); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("pin to CPU %d: %w", cpu, err)
		}
	}
	return nil
}
