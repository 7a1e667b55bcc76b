// SPDX-License-Identifier: Apache-2.0

// Package containers asks container runtimes which containers they have, and
// hears when that changes.
//
// Docker and Podman are asked over Docker's HTTP API, by net/http with a dialer
// of a unix socket: of that API four requests are needed, whose answers have
// not changed in ten years, and its client library brings fifty modules.
package containers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/match"
)

// Container is what a runtime says of one.
type Container struct {
	ID        string
	Name      string
	Namespace string            // of its pod
	Labels    map[string]string // its own, and its pod's
	PID       int               // of its first process; 0 while it does not run
	Cgroups   []match.Cgroup    // where its cgroup is when it runs, below the root of the runtime's cgroup tree
}

// patience is how long a runtime may take for one answer.
const patience = 5 * time.Second

// Defaults are where Docker's and Podman's sockets are by themselves.
var Defaults = []string{"/run/docker.sock", "/run/podman/podman.sock"}

// Absent is the error of a runtime that is not there: it has no socket, or
// nobody listens at it.
var Absent = errors.New("no runtime is there")

// Runtime is a container runtime, by its socket.
type Runtime struct {
	Socket string // absolute path
}

// List is those of the runtime's containers that wanted takes, running or not.
// It is asked before their PID and Cgroups are known. pid is the runtime's own;
// 0 if it is not this process's to know.
func (r Runtime) List(ctx context.Context, wanted func(Container) bool) (list []Container, pid int, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if pid, err = r.peer(ctx); err != nil {
		return nil, 0, fmt.Errorf("ask the container runtime at %s: %w", r.Socket, err)
	}
	d := docker{r}
	if list, err = d.list(ctx, wanted); err != nil {
		return nil, pid, fmt.Errorf("ask the container runtime at %s: %w", r.Socket, err)
	}
	return list, pid, nil
}

// Watch calls changed whenever containers were made, named, started or
// removed, and once when it listens. It returns when the runtime ends, or ctx.
func (r Runtime) Watch(ctx context.Context, changed func()) error {
	if err := (docker{r}).watch(ctx, changed); err != nil && ctx.Err() == nil {
		return fmt.Errorf("listen to the container runtime at %s: %w", r.Socket, err)
	}
	return nil
}

func (r Runtime) dial(ctx context.Context) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "unix", r.Socket)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, Absent
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call
	}
	return c, err
}

// peer is the process that listens at the socket.
func (r Runtime) peer(ctx context.Context) (pid int, err error) {
	c, err := r.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	if err := raw.Control(func(fd uintptr) {
		if who, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(who.Pid)
		}
	}); err != nil {
		return 0, err
	}
	return pid, nil
}
