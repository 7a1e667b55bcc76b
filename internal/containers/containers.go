// SPDX-License-Identifier: Apache-2.0

// Package containers asks container runtimes which containers they have, and
// hears when that changes.
//
// Docker and Podman are asked over Docker's HTTP API, by net/http with a dialer
// of a unix socket: of that API five requests are needed, whose answers have
// not changed in ten years, and its client library brings fifty modules.
// containerd and Kubernetes' runtimes (CRI) speak gRPC, and are asked by grpc-go
// and the bindings that they publish themselves.
package containers

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"waymark/classes"
	"waymark/internal/match"
)

// Container is what a runtime says of one, or of a whole pod.
type Container struct {
	ID string
	classes.Identity
	PID     int            // of its first process; 0 while it does not run, and for a pod
	Cgroups []match.Cgroup // where its cgroup is when it runs, below the root of the runtime's cgroup tree
	Guessed bool           // Cgroups is where such a one usually is: the runtime is busy with it
}

// Defaults are where the sockets of Docker, Podman, containerd and CRI-O are by
// themselves, and that of k3s's containerd.
var Defaults = []string{"/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock", "/run/crio/crio.sock", "/run/k3s/containerd/containerd.sock"}

// Absent is the error of a runtime that is not there: it has no socket, or
// nobody listens at it.
var Absent = errors.New("no runtime is there")

// Silent is the error of a runtime that is there, and did not answer in time.
var Silent = errors.New("it did not answer")

// Runtime is a container runtime, by its socket.
type Runtime struct {
	Socket string // absolute path
}

// protocol is what a runtime speaks.
type protocol interface {
	list(ctx context.Context, wanted func(classes.Identity) bool) ([]Container, error)
	watch(ctx context.Context, changed func()) error
}

// List is those of the runtime's containers that wanted takes, running or not,
// and of its pods that run. pid is the runtime's own; 0 if it is not this
// process's to know. A runtime that hangs is waited for until ctx ends.
func (r Runtime) List(ctx context.Context, wanted func(classes.Identity) bool) (list []Container, pid int, err error) {
	ask := func() error {
		if pid, err = r.peer(ctx); err != nil {
			return err
		}
		speaks, err := r.speaks(ctx)
		if err != nil {
			return err
		}
		list, err = speaks.list(ctx, wanted)
		return err
	}
	begun := time.Now()
	if err := ask(); err != nil {
		if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w within %v", Silent, time.Since(begun).Round(100*time.Millisecond))
		}
		return nil, pid, fmt.Errorf("ask the container runtime at %s: %w", r.Socket, err)
	}
	return list, pid, nil
}

// Watch calls changed whenever containers were made, named, started or
// removed, and when it listens. It returns when the runtime ends, or ctx.
func (r Runtime) Watch(ctx context.Context, changed func()) error {
	speaks, err := r.speaks(ctx)
	if err == nil {
		err = speaks.watch(ctx, changed)
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("listen to the container runtime at %s: %w", r.Socket, err)
	}
	return nil
}

// speaks finds out what the runtime speaks. CRI-O answers HTTP too, but is no
// Docker, which has its version on every answer.
func (r Runtime) speaks(ctx context.Context) (protocol, error) {
	version, err := r.ping(ctx)
	switch {
	case errors.Is(err, Absent) || ctx.Err() != nil:
		return nil, cmp.Or(err, ctx.Err())
	case version != "":
		return docker{r}, nil
	}
	return rpc{r}, nil
}

// ping is the version of Docker's API that the runtime speaks, if it does. Who
// speaks gRPC speaks first, which an http.Transport would complain of.
func (r Runtime) ping(ctx context.Context) (version string, err error) {
	c, err := r.dial(ctx)
	if err != nil {
		return "", err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if _, err := io.WriteString(c, "GET /_ping HTTP/1.1\r\nHost: runtime\r\nConnection: close\r\n\r\n"); err != nil {
		return "", err
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	return answer.Header.Get("Api-Version"), nil
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
