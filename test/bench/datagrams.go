// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// The jobs by UDP. An op is one datagram.
const (
	datagrams   = "datagrams"   // of connected sockets, in turn
	unconnected = "unconnected" // of one socket, to destinations in turn
)

const (
	batchSize   = 64 // datagrams of one sendmmsg
	payloadSize = 64 // bytes
	senderTurns = 16 // connected sockets
)

type connectedSender struct {
	batch   *lab.Batch
	sockets []int
	next    int
}

func (s *connectedSender) begin(to targets) error {
	s.batch = lab.NewBatch(batchSize, payloadSize)
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
	return s.batch.Send(s.sockets[s.next%len(s.sockets)], batchSize)
}

func (s *connectedSender) end() {
	for _, fd := range s.sockets {
		unix.Close(fd)
	}
}

type unconnectedSender struct {
	batch *lab.Batch
	fd    int
}

func (s *unconnectedSender) begin(to targets) (err error) {
	s.batch = lab.NewBatch(batchSize, payloadSize)
	var turn []netip.AddrPort
	for some := spread(to.UDP, batchSize); len(turn) < batchSize; {
		turn = append(turn, some...)
	}
	s.batch.Address(turn)
	s.fd, err = socket(unix.SOCK_DGRAM)
	return err
}

func (s *unconnectedSender) step() (int, error) { return s.batch.Send(s.fd, batchSize) }

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
