// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// begin starts a worker that opens its socket, and waits for the word to
// send. It must have succeeded when proceed returns.
func (s *site) begin(t *testing.T, cgroup string, args ...string) (proceed func()) {
	t.Helper()
	worker := s.hire(t, s.Host, cgroup, args...)
	worker.answer(t)
	return func() {
		t.Helper()
		worker.in.Close()
		if err := worker.Wait(); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// awaitWord says that the socket is open, and waits for the word.
func awaitWord() error {
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// segmentSize is how long the segments of a datagram of many are.
const segmentSize = 1000

// sendLater opens a datagram socket of a kind, bound to an address if that is
// not "-", and later sends one message to the end of its arguments: "udp",
// "lite" for UDP-Lite, "gso" for twenty segments in one call.
func sendLater(args []string) error {
	kind, source, to := args[0], args[1], netip.MustParseAddr(args[2])
	proto, size := unix.IPPROTO_UDP, segmentSize
	switch kind {
	case "lite":
		proto = unix.IPPROTO_UDPLITE
	case "gso":
		size = 20 * segmentSize
	}
	fd, err := unix.Socket(familyOf(to), unix.SOCK_DGRAM, proto)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if source != "-" {
		if err := unix.Bind(fd, sockaddr(netip.MustParseAddr(source), 0)); err != nil {
			return fmt.Errorf("bind: %w", err)
		}
	}
	if err := awaitWord(); err != nil {
		return err
	}
	if kind == "gso" {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, segmentSize); err != nil {
			return fmt.Errorf("UDP_SEGMENT: %w", err)
		}
	}
	return unix.Sendto(fd, make([]byte, size), 0, sockaddr(to, servicePort))
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func sockaddr(a netip.Addr, port int) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4(), Port: port}
	}
	return &unix.SockaddrInet6{Addr: a.As16(), Port: port}
}
