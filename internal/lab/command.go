// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Cmd is an exec.Cmd whose process starts inside a node and a cgroup of the
// lab, and ends with the lab.
type Cmd struct {
	*exec.Cmd
	node   *Node
	cgroup string

	waitOnce sync.Once
	waitErr  error
}

// Command returns a command of the node, in the lab's root cgroup, as root.
func (n *Node) Command(name string, args ...string) *Cmd {
	c := &Cmd{Cmd: exec.Command(name, args...), node: n}
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.WaitDelay = 5 * time.Second // for pipes that a process outside our cgroups still holds
	return c
}

// In starts the process in a cgroup of the lab, "app.slice/x.service" say, which
// is made if it is missing.
func (c *Cmd) In(cgroup string) *Cmd {
	c.cgroup = cgroup
	return c
}

// As starts the process with these ids and no other groups.
func (c *Cmd) As(uid, gid uint32) *Cmd {
	c.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	return c
}

// Start starts the process; it is in its namespace and cgroup, with its uid,
// from its first instruction on.
func (c *Cmd) Start() error {
	dir, err := c.node.lab.Cgroup(c.cgroup)
	if err != nil {
		return err
	}
	cgroup, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("start %s: open cgroup: %w", c.Path, err)
	}
	defer cgroup.Close()
	c.SysProcAttr.UseCgroupFD, c.SysProcAttr.CgroupFD = true, int(cgroup.Fd())
	if err := c.node.start(c.Cmd.Start); err != nil {
		return fmt.Errorf("start %s in %s: %w", c.Path, c.node.Name, err)
	}
	if err := c.node.lab.own(c); err != nil {
		return fmt.Errorf("start %s in %s: %w", c.Path, c.node.Name, c.stop(err))
	}
	return nil
}

// Wait waits for the process to end, as exec.Cmd's does; it may be called again
// and from several goroutines.
func (c *Cmd) Wait() error {
	c.waitOnce.Do(func() {
		c.waitErr = c.Cmd.Wait()
		c.node.lab.disown(c)
	})
	return c.waitErr
}

// Run runs the command to its end. The error, if any, carries what it wrote to
// standard error, unless that was set.
func (c *Cmd) Run() error {
	var stderr bytes.Buffer
	if c.Stderr == nil {
		c.Stderr = &stderr
	}
	if err := c.Start(); err != nil {
		return err
	}
	if err := c.Wait(); err != nil {
		return fmt.Errorf("run %q in %s: %w: %s", strings.Join(c.Args, " "), c.node.Name, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return nil
}

// Output is Run, and returns what the command wrote to standard output, also
// when it failed.
func (c *Cmd) Output() (string, error) {
	var stdout bytes.Buffer
	c.Stdout = &stdout
	err := c.Run()
	return stdout.String(), err
}

// CombinedOutput is Output with standard error mixed in.
func (c *Cmd) CombinedOutput() (string, error) {
	var both bytes.Buffer
	c.Stdout, c.Stderr = &both, &both
	err := c.Run()
	return both.String(), err
}

// Close kills the process if it still runs, and waits for its end. It returns
// nil whatever the process's status.
func (c *Cmd) Close() error {
	if c.Process == nil {
		return nil
	}
	return c.stop(nil)
}

func (c *Cmd) stop(cause error) error {
	_ = c.Process.Kill()
	_ = c.Wait()
	return cause
}
