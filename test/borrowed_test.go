// SPDX-License-Identifier: Apache-2.0

package test

import (
	order "encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// TestBorrowedSource has sockets connect of which no hook hears, to a class by
// destination, as traceroute's do: they leave by its uplink, from its address, and hear
// of routers on the way, and of the far end. Where a strict filter would drop
// the answers, for their address is another uplink's, they stay with it.
func TestBorrowedSource(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	for _, f := range bothFamilies {
		three := f.service(3).Addr()
		for _, c := range []struct {
			how, filter string
			router      int
			counted     ledger
		}{
			{"traced", "0", byC, ledger{"tuple a": repaired(misrouted(6, late))}},
			{"knock", "0", byC, ledger{"tuple a": repaired(misrouted(1, late))}},
			{"knock from an address", "0", byA, ledger{"tuple a": misrouted(1, chosen)}},
			{"traced", "1", byA, ledger{"tuple a": misrouted(6, pinned)}},
		} {
			if f == v6 && c.filter == "1" || f == v4 && c.how == "knock from an address" {
				continue // there is no such filter, and the kernel notes no such bind
			}
			t.Run(fmt.Sprintf("%s/%s/rp_filter %s", f, c.how, c.filter), func(t *testing.T) {
				s.check(t, s.Host.Sysctl("net.ipv4.conf.up-c.rp_filter", c.filter))
				s.account(t, c.counted, func() {
					s.drain(t)
					s.work(t, "", "be-odd", c.how, three.String(), s.address(byA, three).String())
					s.drainOf(t, c.router, func(p lab.Packet) bool { return p.Dst.Addr() == three }, s.address(c.router, three))
				})
			})
		}
	}
}

// sendTraced has a router on the way to one answer, and then that itself, both to
// what comes in fragments.
func sendTraced(to []netip.Addr) error {
	level, ttl, errs, proto := unix.IPPROTO_IP, unix.IP_TTL, unix.IP_RECVERR, unix.IPPROTO_ICMP
	if to[0].Is6() {
		level, ttl, errs, proto = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_RECVERR, unix.IPPROTO_ICMPV6
	}
	fd, err := connectRaw(to[0], netip.Addr{}, proto)
	if err != nil {
		return err
	}
	if err := errors.Join(unix.SetsockoptInt(fd, level, errs, 1), unix.SetsockoptInt(fd, level, ttl, 1)); err != nil {
		return err
	}
	if _, err := unix.Write(fd, echo(to[0], 4000)); err != nil {
		return err
	}
	if err := awaitAnswer(fd); !errors.Is(err, unix.EHOSTUNREACH) {
		return fmt.Errorf("want a router's \"time exceeded\", got %v", err)
	}
	if err := unix.SetsockoptInt(fd, level, ttl, 64); err != nil {
		return err
	}
	if _, err := unix.Write(fd, echo(to[0], 4000)); err != nil {
		return err
	}
	return awaitAnswer(fd)
}

// echo is a request of ICMP, whose checksum for IPv6 the kernel fills in.
func echo(to netip.Addr, size int) []byte {
	m := make([]byte, size)
	m[0], m[4], m[7] = 128, 0x12, 1
	if to.Is4() {
		m[0] = 8
		order.BigEndian.PutUint16(m[2:], lab.Checksum(m))
	}
	return m
}

func connectRaw(to, from netip.Addr, proto int) (int, error) {
	fd, err := unix.Socket(familyOf(to), unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return fd, err
	}
	if from.IsValid() {
		if err := unix.Bind(fd, sockaddr(from, 0)); err != nil {
			return fd, err
		}
	}
	return fd, unix.Connect(fd, sockaddr(to, 0))
}

// knock asks the first for a connection by a header of its own, whose checksum has
// the source in it that the socket was given, and waits for the answer, which the kernel
// refuses; or, bound, at a port that is closed.
func knock(to []netip.Addr, bound netip.Addr) error {
	fd, err := connectRaw(to[0], bound, unix.IPPROTO_TCP)
	if err != nil {
		return err
	}
	from, port := to[1].AsSlice(), byte(servicePort)
	if bound.IsValid() {
		port = 1
	}
	header := []byte{0x12, 0x34, 0, port, 0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, 2, 4, 0, 0, 0, 0, 0}
	order.BigEndian.PutUint16(header[16:], lab.Checksum(from, to[0].AsSlice(), []byte{0, unix.IPPROTO_TCP, 0, byte(len(header))}, header))
	if _, err := unix.Write(fd, header); err != nil {
		return err
	}
	return awaitAnswer(fd)
}
