// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// client is a process in a cgroup and a network namespace, which opens sockets
// for orders.
type client struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	orders *json.Encoder
	out    *json.Decoder
}

// startClient starts a client in a cgroup's directory; within runs what it is
// given in the network namespace that the client shall be in.
func startClient(cgroup string, within func(func() error) error) (*client, error) {
	dir, err := os.Open(cgroup)
	if err != nil {
		return nil, fmt.Errorf("start a client: open cgroup: %w", err)
	}
	defer dir.Close()
	c := &client{cmd: exec.Command("/proc/self/exe")}
	c.cmd.Args = []string{clientName}
	c.cmd.Env = []string{"GOMAXPROCS=1"}
	// It ends with its input, and not by what a terminal sends to this process.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd()), Setpgid: true}
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start a client: %w", err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start a client: %w", err)
	}
	c.orders, c.out = json.NewEncoder(c.in), json.NewDecoder(out)
	if err := within(c.cmd.Start); err != nil {
		return nil, fmt.Errorf("start a client in cgroup %s: %w", cgroup, err)
	}
	return c, nil
}

// do has an order carried out.
func (c *client) do(o order) (r outcome, err error) {
	if err := errors.Join(c.orders.Encode(o), c.out.Decode(&r)); err != nil {
		return r, fmt.Errorf("order client %d: %w", c.cmd.Process.Pid, err)
	}
	return r, nil
}

// close ends the client.
func (c *client) close() error {
	_ = c.in.Close()
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("end client: %w", err)
	}
	return nil
}
