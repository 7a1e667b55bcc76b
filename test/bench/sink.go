// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// newSink makes every router the end of the world: it has all addresses of
// it, drops their datagrams as they arrive, and the first serves TCP.
func newSink(ctx context.Context, l *lab.Lab) (*child, error) {
	for _, r := range l.Routers {
		if err := r.Command("ip", "route", "add", "local", world.String(), "dev", "lo").Run(); err != nil {
			return nil, err
		}
		if err := attach(r, "down", ebpf.AttachTCXIngress, datagramDrop); err != nil {
			return nil, err
		}
	}
	c, err := startChild(ctx, l.Routers[0], "", "role:sink")
	if err != nil {
		return nil, err
	}
	var ready [1]byte
	if _, err := io.ReadFull(c.out, ready[:]); err != nil {
		return nil, fmt.Errorf("start the sink: %w: %s", err, c.stderr())
	}
	return c, nil
}

// The answers of a tcx program.
const (
	tcxNext = -1
	tcxDrop = 2
)

// datagramDrop drops IPv4 packets of UDP. It runs in the sender's own
// softirq, the same in every arm.
var datagramDrop = asm.Instructions{
	asm.Mov.Reg(asm.R6, asm.R1),
	asm.LoadAbs(14+9, asm.Byte), // the protocol, behind the Ethernet header
	asm.JNE.Imm(asm.R0, unix.IPPROTO_UDP, "pass"),
	asm.Mov.Imm(asm.R0, tcxDrop),
	asm.Return(),
	asm.Mov.Imm(asm.R0, tcxNext).WithSymbol("pass"),
	asm.Return(),
}

func sinkMain([]string) error {
	if err := settleOn(sinkCPU); err != nil {
		return err
	}
	for port, serve := range map[uint16]func(int){connectionPort: func(int) {}, roundTripPort: echo, bulkPort: swallow} {
		fd, err := listen(port)
		if err != nil {
			return err
		}
		go func() {
			if err := accept(fd, serve); err != nil {
				fmt.Fprintln(os.Stderr, "sink:", err)
				os.Exit(1)
			}
		}()
	}
	if _, err := os.Stdout.Write([]byte{'\n'}); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func listen(port uint16) (int, error) {
	fd, err := socket(unix.SOCK_STREAM | unix.SOCK_NONBLOCK)
	if err == nil {
		err = errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Port: int(port)}), unix.Listen(fd, 4096))
	}
	if err != nil {
		return -1, fmt.Errorf("listen on port %d: %w", port, err)
	}
	return fd, nil
}

// awake is how long a server asks for the next connection before it sleeps.
const awake = 10 * time.Millisecond

func accept(listener int, serve func(int)) error {
	last := time.Now()
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		switch {
		case err == nil:
			serve(fd)
			unix.Close(fd)
			last = time.Now()
		case errors.Is(err, unix.EAGAIN) && time.Since(last) > awake:
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}, -1)
			last = time.Now()
		case !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ECONNABORTED):
			return fmt.Errorf("accept: %w", err)
		}
	}
}

func echo(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	var b [1]byte
	for {
		if n, err := receive(fd, b[:], 0); n == 0 || err != nil {
			return
		}
		if _, err := unix.Write(fd, b[:]); err != nil {
			return
		}
	}
}

// swallow throws the stream away without copying it.
func swallow(fd int) {
	buffer := make([]byte, 4<<20)
	for {
		if n, err := receive(fd, buffer, unix.MSG_TRUNC); n == 0 || err != nil {
			return
		}
	}
}
