// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDestroySockets resets one connection of two and one UDP socket of two,
// by IPv4 and IPv6, and leaves all others.
func TestDestroySockets(t *testing.T) {
	namespace(t, unix.CLONE_NEWNET)
	if n, err := DestroySockets(nil); n != 0 || err != nil {
		t.Errorf("of no cookies it reset %d: %v", n, err)
	}
	var doomed []uint64
	var ends, stays []int
	for _, to := range []unix.Sockaddr{&unix.SockaddrInet4{Port: 8000, Addr: [4]byte{127, 0, 0, 1}}, &unix.SockaddrInet6{Port: 8001, Addr: [16]byte{15: 1}}} {
		family := unix.AF_INET
		if _, six := to.(*unix.SockaddrInet6); six {
			family = unix.AF_INET6
		}
		listener := marked(t, family, unix.SOCK_STREAM, 0, 1)
		must(t, unix.Bind(listener, to))
		must(t, unix.Listen(listener, 8))
		stays = append(stays, listener)
		for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
			one, other := marked(t, family, kind, 0, 1), marked(t, family, kind, 0, 1)
			must(t, unix.Connect(one, to))
			must(t, unix.Connect(other, to))
			cookie, err := unix.GetsockoptUint64(one, unix.SOL_SOCKET, unix.SO_COOKIE)
			must(t, err)
			doomed, ends, stays = append(doomed, cookie), append(ends, one), append(stays, other)
		}
	}
	n, err := DestroySockets(append(doomed, 1<<60)) // a socket that has ended meanwhile
	if errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("this kernel was built without CONFIG_INET_DIAG_DESTROY")
	}
	if n != len(doomed) || err != nil {
		t.Errorf("it reset %d of %d: %v", n, len(doomed), err)
	}
	for k, fd := range ends {
		if code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || unix.Errno(code) != unix.ECONNABORTED {
			t.Errorf("socket %d, which was reset, has error %v (%v)", k, unix.Errno(code), err)
		}
	}
	for k, fd := range stays {
		if code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
			t.Errorf("socket %d, which was not, has error %v (%v)", k, unix.Errno(code), err)
		}
		if _, err := unix.Getpeername(fd); k%3 > 0 && err != nil {
			t.Errorf("socket %d, which was not reset, has no peer: %v", k, err)
		}
	}
}
