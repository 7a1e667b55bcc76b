// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// sink is the far end of an arm's links: every router has all addresses of
// the world, takes their datagrams as they arrive, and the first serves TCP.
type sink struct{ *child }

func newSink(ctx context.Context, l *lab.Lab) (s *sink, err error) {
	s = &sink{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	for _, r := range l.Routers {
		if _, err := r.Command("ip", "route", "add", "local", world.String(), "dev", "lo").Output(); err != nil {
			return s, err
		}
		if err := take(r, "down"); err != nil {
			return s, err
		}
	}
	if s.child, err = startChild(ctx, l.Routers[0], "", "role:sink"); err != nil {
		return s, err
	}
	var ready [1]byte
	if _, err := io.ReadFull(s.out, ready[:]); err != nil {
		return s, fmt.Errorf("start the sink: %w: %s", err, s.stderr())
	}
	return s, nil
}

func (s *sink) close() error {
	if s == nil {
		return nil
	}
	return s.child.close()
}

// take has takeDatagrams at the way in of a node's interface.
func take(n *lab.Node, iface string) error {
	p, err := loadProgram("take", takeDatagrams)
	if err != nil {
		return err
	}
	defer p.Close()
	return n.FilterIn(iface, p.FD())
}

// The answers of a tc program, of which tcx takes the first for the second.
const (
	tcStolen = 4
	tcNext   = -1
)

// takeDatagrams takes IPv4 packets of UDP, which is no drop and so counted nowhere.
// It runs in the sender's own softirq, the same in every arm.
var takeDatagrams = asm.Instructions{
	asm.Mov.Reg(asm.R6, asm.R1),
	asm.LoadAbs(14+9, asm.Byte), // the protocol, behind the Ethernet header
	asm.JNE.Imm(asm.R0, unix.IPPROTO_UDP, "pass"),
	asm.Mov.Imm(asm.R0, tcStolen),
	asm.Return(),
	asm.Mov.Imm(asm.R0, tcNext).WithSymbol("pass"),
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
		fd, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(listener), 0, 0, unix.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
			serve(int(fd))
			unix.Close(int(fd))
			last = time.Now()
		case unix.EAGAIN:
			if time.Since(last) > awake {
				_, _ = unix.Poll([]unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}, -1)
				last = time.Now()
			}
		case unix.EINTR, unix.ECONNABORTED:
		default:
			return fmt.Errorf("accept: %w", errno)
		}
	}
}

func echo(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	var b [1]byte
	for receive(fd, b[:], 0) == nil {
		if _, err := unix.Write(fd, b[:]); err != nil {
			return
		}
	}
}

// swallow throws the stream away without copying it.
func swallow(fd int) {
	buffer := make([]byte, 4<<20)
	for receive(fd, buffer, unix.MSG_TRUNC) == nil {
	}
}
