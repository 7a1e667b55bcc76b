// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The jobs by TCP. Both ends ask again instead of sleeping, so that no
// wake-up of a sleeping CPU is in the figures.
const (
	connections = "connections" // connect and reset; an op is one
	roundTrips  = "round trips" // one byte there and one back; an op is one
	bulk        = "bulk"        // one stream with segmentation offload; an op is one byte
)

// The sink's ports.
const (
	connectionPort = 8000 + iota
	roundTripPort
	bulkPort
)

type connector struct{ turn turn }

func (c *connector) begin(to targets) error {
	c.turn = newTurn(at(to.TCP, connectionPort))
	return nil
}

func (c *connector) step() (int, error) {
	for range perStep {
		fd, err := connect(c.turn.take())
		if err != nil {
			return 0, err
		}
		unix.Close(fd)
	}
	return perStep, nil
}

func (c *connector) end() {}

// connect opens a connection that ends by a reset: with FIN, sockets in
// TIME_WAIT would pile up and be what is measured.
func connect(to unix.Sockaddr) (int, error) {
	fd, err := socket(unix.SOCK_STREAM)
	if err != nil {
		return -1, err
	}
	err = errors.Join(
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_SYNCNT, 2)) // give up in seconds, not minutes
	if err == nil {
		err = unix.Connect(fd, to)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("connect: %w", err)
	}
	return fd, nil
}

type pinger struct {
	fd   int
	byte [1]byte
}

func (p *pinger) begin(to targets) (err error) {
	p.fd, err = connectTo(to, roundTripPort)
	return err
}

const tripsPerStep = 8

func (p *pinger) step() (int, error) {
	for range tripsPerStep {
		if _, err := unix.Write(p.fd, p.byte[:]); err != nil {
			return 0, fmt.Errorf("send: %w", err)
		}
		if err := receive(p.fd, p.byte[:], 0); err != nil {
			return 0, fmt.Errorf("receive: %w", err)
		}
	}
	return tripsPerStep, nil
}

func (p *pinger) end() { unix.Close(p.fd) }

type streamer struct {
	fd     int
	buffer [256 << 10]byte
}

func (s *streamer) begin(to targets) (err error) {
	s.fd, err = connectTo(to, bulkPort)
	return err
}

func (s *streamer) step() (int, error) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(&s.buffer[0])), uintptr(len(s.buffer)),
			unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case unix.EAGAIN, unix.EINTR:
		case 0:
			return int(n), nil
		default:
			return 0, fmt.Errorf("send: %w", errno)
		}
	}
}

func (s *streamer) end() { unix.Close(s.fd) }

// receive asks until something has come; the stream's end is io.EOF. It
// allocates nothing, as it is called all the time.
func receive(fd int, buffer []byte, flags int) error {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)),
			uintptr(flags|unix.MSG_DONTWAIT), 0, 0)
		switch {
		case errno == unix.EAGAIN || errno == unix.EINTR:
		case errno != 0:
			return errno
		case n == 0:
			return io.EOF
		default:
			return nil
		}
	}
}

func connectTo(to targets, port uint16) (int, error) {
	return connect(sockaddr(netip.AddrPortFrom(to.TCP[len(to.TCP)/2], port)))
}

func at(addresses []netip.Addr, port uint16) (list []netip.AddrPort) {
	for _, a := range addresses {
		list = append(list, netip.AddrPortFrom(a, port))
	}
	return list
}
