// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// socket is that of one order.
type socket struct {
	order
	fd int
	outcome
}

// onThread carries the order out. The kernel's own calls change the uid of one
// thread alone, which is given back once it is root's again.
func (s *socket) onThread() {
	runtime.LockOSThread()
	defer func() {
		if s.fd >= 0 {
			unix.Close(s.fd)
		}
		if become(0) == nil {
			runtime.UnlockOSThread() // or the thread ends
		}
	}()
	for _, step := range []struct {
		call string
		uid  uint32
		do   func() error
	}{
		{"socket", s.UID, s.open},
		{"bind", 0, s.bind},
		{"connect", s.UID, s.connect},
		{"send", s.UID, s.send},
	} {
		err := become(step.uid)
		if err == nil {
			err = step.do()
		}
		if err != nil {
			s.Call, s.Err = step.call, errnoName(err)
			break
		}
	}
	s.look()
}

// become takes a uid, and leaves the way back open.
func become(uid uint32) error {
	_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func (s *socket) open() (err error) {
	s.fd, err = unix.Socket(s.family(), s.kind()|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, s.protocol())
	return err
}

func (s *socket) bind() error {
	if !s.From.IsValid() {
		return nil
	}
	level, option := unix.SOL_IP, unix.IP_FREEBIND
	if s.family() == unix.AF_INET6 {
		level, option = unix.SOL_IPV6, unix.IPV6_FREEBIND
	}
	err := unix.SetsockoptInt(s.fd, level, option, 1)
	if s.From.Port() == 0 { // none is taken before the socket is connected, as if it was not bound
		err = errors.Join(err, unix.SetsockoptInt(s.fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1))
	}
	return errors.Join(err, unix.Bind(s.fd, address(s.From)))
}

func (s *socket) connect() error {
	if s.How != connected {
		return nil
	}
	err := unix.Connect(s.fd, address(s.To))
	if !errors.Is(err, unix.EINPROGRESS) || s.Wait == 0 {
		return ignore(err, unix.EINPROGRESS)
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}, int(s.Wait/time.Millisecond))
	if err != nil {
		return err
	}
	if n == 0 {
		return unix.ETIMEDOUT
	}
	errno, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		return unix.Errno(errno)
	}
	return err
}

func ignore(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// send sends a datagram of a byte, whose answer nobody waits for.
func (s *socket) send() error {
	switch s.How {
	case eachTime:
		return unix.Sendto(s.fd, []byte("w"), 0, address(s.To))
	case framed:
		const loopback = 1
		to := unix.SockaddrLinklayer{Ifindex: loopback, Protocol: binary.NativeEndian.Uint16(s.Frame[12:])}
		return unix.Sendto(s.fd, s.Frame, 0, &to)
	}
	if !s.Send || s.Proto == unix.IPPROTO_TCP {
		return nil
	}
	_, err := unix.Write(s.fd, []byte("w"))
	return err
}

// look sees what the socket has become.
func (s *socket) look() {
	if s.fd < 0 {
		return
	}
	mark, _ := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_MARK)
	s.Mark = uint32(mark)
	name, _ := unix.Getsockname(s.fd)
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		s.Local = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		s.Local = netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
}

func address(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func errnoName(err error) string {
	if errno := unix.Errno(0); errors.As(err, &errno) {
		return unix.ErrnoName(errno)
	}
	return err.Error()
}
