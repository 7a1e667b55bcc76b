// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// A socket is the client's one socket. It uses system calls and never the net
// package, which would open others or order them differently.
type socket struct {
	job  Job
	fd   int
	sent int // messages so far: the next ping's sequence number
}

// family is the socket's address family.
func (s *socket) family() int {
	if len(s.job.To) > 0 && s.job.To[0].Addr().Is4() && !s.job.Mapped {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func (s *socket) isPing() bool { return s.job.Kind == Ping || s.job.Kind == RawPing }

func (s *socket) isStream() bool { return s.job.Kind == TCP || s.job.Kind == MPTCP }

func (s *socket) isConnected() bool { return s.isStream() || s.job.Kind == UDP }

// open makes the socket and, for the connected kinds, connects it.
func (s *socket) open(r *Result) error {
	if len(s.job.To) == 0 {
		return failed("job", unix.EDESTADDRREQ)
	}
	kind, protocol, err := s.types()
	if err != nil {
		return failed("job", err)
	}
	s.fd, err = unix.Socket(s.family(), kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return failed("socket", err)
	}
	if err := s.setOptions(); err != nil {
		return err
	}
	if s.job.Bind.IsValid() {
		if err := unix.Bind(s.fd, s.address(s.job.Bind)); err != nil {
			return failed("bind", err)
		}
	}
	if !s.isConnected() {
		return nil
	}
	if err := s.connect(); err != nil || !s.isStream() || s.job.NoReply {
		return failed("connect", err)
	}
	return s.readGreeting(r)
}

func (s *socket) types() (kind, protocol int, err error) {
	icmp := unix.IPPROTO_ICMP
	if s.family() == unix.AF_INET6 {
		icmp = unix.IPPROTO_ICMPV6
	}
	switch s.job.Kind {
	case TCP:
		return unix.SOCK_STREAM, unix.IPPROTO_TCP, nil
	case MPTCP:
		return unix.SOCK_STREAM, unix.IPPROTO_MPTCP, nil
	case UDP, SendTo:
		return unix.SOCK_DGRAM, unix.IPPROTO_UDP, nil
	case Ping:
		return unix.SOCK_DGRAM, icmp, nil
	case RawPing:
		return unix.SOCK_RAW, icmp, nil
	}
	return 0, 0, unix.EINVAL
}

func (s *socket) setOptions() error {
	if s.job.Device != "" {
		if err := unix.BindToDevice(s.fd, s.job.Device); err != nil {
			return failed("SO_BINDTODEVICE", err)
		}
	}
	if s.job.Mark != 0 {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_MARK, int(s.job.Mark)); err != nil {
			return failed("SO_MARK", err)
		}
	}
	if !s.isPing() {
		return nil
	}
	level, option := unix.IPPROTO_IP, unix.IP_PKTINFO
	if s.family() == unix.AF_INET6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO
	}
	return failed("IP_PKTINFO", unix.SetsockoptInt(s.fd, level, option, 1))
}

// connect waits for the connection as a blocking call would.
func (s *socket) connect() error {
	err := unix.Connect(s.fd, s.address(s.job.To[0]))
	if !errors.Is(err, unix.EINPROGRESS) {
		return err
	}
	if err := s.await(unix.POLLOUT, time.Now().Add(s.job.Timeout)); err != nil {
		return err
	}
	errno, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		return unix.Errno(errno)
	}
	return err
}

// await waits for events on the socket; ETIMEDOUT says that none came.
func (s *socket) await(events int16, deadline time.Time) error {
	for {
		left := max(0, time.Until(deadline))
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: events}}, int(left.Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n > 0:
			return nil
		case time.Until(deadline) <= 0:
			return unix.ETIMEDOUT
		}
	}
}

// address writes an address for the socket's family.
func (s *socket) address(a netip.AddrPort) unix.Sockaddr {
	if s.family() == unix.AF_INET {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func (s *socket) local() netip.AddrPort {
	name, _ := unix.Getsockname(s.fd)
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return plain(netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)))
	}
	return netip.AddrPort{}
}

func (s *socket) close() {
	if s.fd >= 0 {
		unix.Close(s.fd)
	}
}
