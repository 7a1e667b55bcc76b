// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"encoding/binary"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Types of ICMP messages.
const (
	echo4, reply4 = 8, 0
	echo6, reply6 = 128, 129
)

// icmp is an echo request by a raw socket: a ping socket would need
// net.ipv4.ping_group_range.
func icmp(to netip.Addr) ask {
	return func(ctx context.Context, w way) error {
		fd, err := echoSocket(to, w)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		id, sequence := uint16(os.Getpid()), uint16(time.Now().UnixNano()>>10)
		if err := unix.Sendto(fd, echoRequest(to, id, sequence), 0, sockaddr(to)); err != nil {
			return err
		}
		return awaitReply(ctx, fd, to, id, sequence)
	}
}

func echoSocket(to netip.Addr, w way) (int, error) {
	family, protocol := unix.AF_INET, unix.IPPROTO_ICMP
	if to.Is6() {
		family, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return -1, err
	}
	if err = unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, w.device); err == nil {
		if source, ok := w.source[to.Is4()]; ok {
			err = unix.Bind(fd, sockaddr(source))
		}
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func sockaddr(a netip.Addr) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Addr: a.As16()}
}

// awaitReply waits for the answer among all ICMP that comes in.
func awaitReply(ctx context.Context, fd int, to netip.Addr, id, sequence uint16) error {
	deadline, _ := ctx.Deadline()
	packet := make([]byte, 1500)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return context.DeadlineExceeded
		}
		waiting := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(waiting, int(left.Milliseconds())+1)
		if err != nil && err != unix.EINTR {
			return err
		}
		if n <= 0 {
			continue
		}
		size, from, err := unix.Recvfrom(fd, packet, 0)
		if err == unix.EAGAIN {
			continue
		}
		if err != nil {
			return err
		}
		if sameAddress(from, to) && isReply(packet[:size], to, id, sequence) {
			return nil
		}
	}
}

func sameAddress(from unix.Sockaddr, to netip.Addr) bool {
	switch from := from.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(from.Addr) == to
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(from.Addr) == to
	}
	return false
}

// echoRequest is one; the kernel fills in the checksum of IPv6.
func echoRequest(to netip.Addr, id, sequence uint16) []byte {
	m := []byte{echo4, 0, 0, 0}
	if to.Is6() {
		m[0] = echo6
	}
	m = binary.BigEndian.AppendUint16(m, id)
	m = binary.BigEndian.AppendUint16(m, sequence)
	m = append(m, "waymark probe..."...)
	if to.Is4() {
		binary.BigEndian.PutUint16(m[2:], checksum(m))
	}
	return m
}

// isReply tells whether a packet is the answer; an IPv4 one begins with its
// IP header.
func isReply(packet []byte, to netip.Addr, id, sequence uint16) bool {
	reply := byte(reply6)
	if to.Is4() {
		reply = reply4
		if len(packet) < 20 {
			return false
		}
		packet = packet[min(len(packet), int(packet[0]&15)*4):]
	}
	return len(packet) >= 8 && packet[0] == reply && binary.BigEndian.Uint16(packet[4:]) == id && binary.BigEndian.Uint16(packet[6:]) == sequence
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for k := 0; k+1 < len(b); k += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[k:]))
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
