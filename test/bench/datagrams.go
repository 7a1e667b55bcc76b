// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The jobs by UDP. An op is one datagram.
const (
	datagrams   = "datagrams"   // of connected sockets, in turn
	unconnected = "unconnected" // of one socket, to destinations in turn
)

const (
	batchSize    = 64 // datagrams of one sendmmsg
	payloadSize  = 64 // bytes
	senderTurns  = 16 // connected sockets
	sockaddrSize = unix.SizeofSockaddrInet4
)

// batch is what one sendmmsg sends: batchSize messages of one buffer.
type batch struct {
	messages  [batchSize]message
	vector    unix.Iovec
	addresses [batchSize]unix.RawSockaddrInet4
	payload   [payloadSize]byte
}

// message is the kernel's struct mmsghdr.
type message struct {
	header unix.Msghdr
	sent   uint32
	_      [4]byte
}

func newBatch() *batch {
	b := &batch{}
	b.vector.Base = &b.payload[0]
	b.vector.SetLen(payloadSize)
	for i := range b.messages {
		b.messages[i].header.Iov = &b.vector
		b.messages[i].header.SetIovlen(1)
	}
	return b
}

// address gives every message a destination of its own.
func (b *batch) address(to []netip.AddrPort) {
	for i := range b.messages {
		b.addresses[i] = rawAddress(to[i])
		b.messages[i].header.Name = (*byte)(unsafe.Pointer(&b.addresses[i]))
		b.messages[i].header.Namelen = sockaddrSize
	}
}

func rawAddress(a netip.AddrPort) unix.RawSockaddrInet4 {
	raw := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: a.Addr().As4()}
	port := (*[2]byte)(unsafe.Pointer(&raw.Port))
	port[0], port[1] = byte(a.Port()>>8), byte(a.Port())
	return raw
}

func (b *batch) send(fd int) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.messages[0])), batchSize, 0, 0, 0)
	if errno != 0 {
		return 0, fmt.Errorf("sendmmsg: %w", errno)
	}
	return int(n), nil
}

type connectedSender struct {
	batch   *batch
	sockets []int
	next    int
}

func (s *connectedSender) begin(to targets) error {
	s.batch = newBatch()
	for _, a := range spread(to.UDP, senderTurns) {
		fd, err := socket(unix.SOCK_DGRAM)
		if err != nil {
			return err
		}
		s.sockets = append(s.sockets, fd)
		if err := unix.Connect(fd, sockaddr(a)); err != nil {
			return fmt.Errorf("connect to %s: %w", a, err)
		}
	}
	return nil
}

func (s *connectedSender) step() (int, error) {
	s.next++
	return s.batch.send(s.sockets[s.next%len(s.sockets)])
}

func (s *connectedSender) end() {
	for _, fd := range s.sockets {
		unix.Close(fd)
	}
}

type unconnectedSender struct {
	batch *batch
	fd    int
}

func (s *unconnectedSender) begin(to targets) (err error) {
	s.batch = newBatch()
	var turn []netip.AddrPort
	for some := spread(to.UDP, batchSize); len(turn) < batchSize; {
		turn = append(turn, some...)
	}
	s.batch.address(turn)
	s.fd, err = socket(unix.SOCK_DGRAM)
	return err
}

func (s *unconnectedSender) step() (int, error) { return s.batch.send(s.fd) }

func (s *unconnectedSender) end() { unix.Close(s.fd) }

func socket(kind int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	return fd, nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}
