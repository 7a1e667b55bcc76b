// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// arrives checks that what do sends to an address arrives at a router, and at
// no other, from a source.
func (s *site) arrives(t *testing.T, to netip.Addr, router int, source netip.Addr, do func()) {
	t.Helper()
	s.drain(t)
	do()
	ours := func(p lab.Packet) bool { return p.Dst.Addr() == to }
	packets, err := s.captures[router].Wait(1, 10*time.Second, ours)
	if err != nil {
		t.Error(err)
	}
	for _, p := range packets {
		if ours(p) && p.Src.Addr() != source {
			t.Errorf("router %d got %v, want it from %s", router, p, source)
		}
	}
	s.drainOf(t, router, ours, source)
}

// drainOf checks that nothing of one kind has arrived but at a router, from
// a source.
func (s *site) drainOf(t *testing.T, router int, ours func(lab.Packet) bool, source netip.Addr) {
	t.Helper()
	for n, packets := range s.collect(t, ours) {
		for _, p := range packets {
			if n != router || p.Src.Addr() != source {
				t.Errorf("router %d got %v; all should pass router %d from %s", n, p, router, source)
			}
		}
	}
}

// TestRawHeader has sockets whose application writes the IP header. Its
// source is the application's choice, unless it leaves it to the kernel.
func TestRawHeader(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	for _, f := range bothFamilies {
		in1, in3 := f.service(1).Addr(), f.service(3).Addr()
		own := func(router int) netip.Addr { return s.address(router, in1) }
		for _, c := range []struct {
			name, cgroup     string
			source, to, seen netip.Addr
			router           int
			counted          ledger
		}{
			{"unclassed", "", own(byA), in1, own(byA), byA, ledger{}},
			{"cgroup", "app.slice", f.homeless(), in1, f.homeless(), byB, ledger{}},
			{"cgroup, own source", "app.slice", own(byB), in1, own(byB), byB, ledger{}},
			{"cgroup, another's source", "app.slice", own(byC), in1, own(byC), byB, ledger{}},
			{"destination", "", f.homeless(), in3, f.homeless(), byC, ledger{"tuple a": repaired(misrouted(1, late))}},
			{"destination, another's source", "", own(byA), in3, own(byA), byA, ledger{"tuple a": misrouted(1, chosen)}},
		} {
			t.Run(fmt.Sprintf("%s/%s", c.name, f), func(t *testing.T) {
				s.account(t, c.counted, func() {
					s.arrives(t, c.to, c.router, c.seen, func() { s.work(t, c.cgroup, "be-a-raw-one", c.source.String(), c.to.String()) })
				})
			})
		}
	}
	t.Run("the kernel's source", func(t *testing.T) {
		s.arrives(t, lab.Service4(1), byB, s.address(byB, lab.Service4(1)), func() { s.work(t, "app.slice", "be-a-raw-one", "0.0.0.0", "203.0.113.1") })
	})
}

// TestRing has sockets that io_uring makes, connects and writes to.
func TestRing(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	if r, err := newRing(); err != nil {
		t.Skipf("the kernel has no io_uring for us: %v", err)
	} else {
		unix.Close(r.fd)
	}
	for _, f := range bothFamilies {
		for _, c := range []struct {
			name, cgroup string
			service      int
			router       int
		}{{"unclassed", "", 1, byA}, {"cgroup", "app.slice", 1, byB}, {"destination", "", 3, byC}} {
			t.Run(fmt.Sprintf("%s/%s", c.name, f), func(t *testing.T) {
				to := f.service(c.service).Addr()
				s.account(t, ledger{}, func() {
					s.arrives(t, to, c.router, s.address(c.router, to), func() { s.work(t, c.cgroup, "be-a-ring", to.String()) })
				})
			})
		}
	}
}

// TestPacketSocket has AF_PACKET put packets on an uplink's link: they have
// no socket that a hook could see, and are classed as they leave.
func TestPacketSocket(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	for _, f := range bothFamilies {
		in1, in3 := f.service(1).Addr(), f.service(3).Addr()
		for _, c := range []struct {
			name       string
			source, to netip.Addr
			dport      uint16
			router     int
			counted    ledger
		}{
			{"unclassed", f.homeless(), in1, 7, byA, ledger{}},
			{"by destination", f.homeless(), in3, 7, byC, ledger{"tuple a": repaired(misrouted(1, late))}},
			{"from another uplink", s.address(byA, in1), in3, 7, byA, ledger{"tuple a": misrouted(1, pinned)}},
			{"no leak", f.homeless(), in1, 9, byC, ledger{"port a": repaired(misrouted(1, late))}},
		} {
			t.Run(fmt.Sprintf("%s/%s", c.name, f), func(t *testing.T) {
				s.account(t, c.counted, func() {
					s.arrives(t, c.to, c.router, c.source, func() {
						s.inject(t, s.Host, "up-a", datagram{from: c.source, to: c.to, dport: c.dport}.bytes())
					})
				})
			})
		}
		t.Run("no leak from another uplink/"+string(f), func(t *testing.T) {
			s.drain(t)
			s.account(t, ledger{"port a": dropped(misrouted(1, pinned))}, func() {
				s.inject(t, s.Host, "up-a", datagram{from: s.address(byA, in1), to: in1, dport: 9}.bytes())
			})
			s.drainOf(t, -1, func(p lab.Packet) bool { return p.Dst.Addr() == in1 }, in1)
		})
	}
}

// inject sends packets of one family by AF_PACKET to the neighbour on a node's
// link. That one was dropped at egress is no error here.
func (s *site) inject(t *testing.T, from *lab.Node, iface string, packets ...[]byte) {
	t.Helper()
	protocol := uint16(unix.ETH_P_IP)
	if packets[0][0]>>4 == 6 {
		protocol = unix.ETH_P_IPV6
	}
	link, err := from.Handle().LinkByName(iface)
	if err != nil {
		t.Fatal(err)
	}
	neighbours, err := from.Handle().NeighList(link.Attrs().Index, 0)
	if err != nil || len(neighbours) == 0 {
		t.Fatalf("no neighbour on %s: %v", iface, err)
	}
	var mac net.HardwareAddr
	for _, n := range neighbours {
		if n.State == unix.NUD_PERMANENT {
			mac = n.HardwareAddr
		}
	}
	to := &unix.SockaddrLinklayer{Protocol: protocol>>8 | protocol<<8, Ifindex: link.Attrs().Index, Halen: 6}
	copy(to.Addr[:], mac)
	if err := from.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, p := range packets {
			if err := unix.Sendto(fd, p, 0, to); err != nil && !errors.Is(err, unix.ENOBUFS) {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
