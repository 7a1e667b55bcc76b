// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// The flags of TCP that tell how a connection ends.
const (
	tcpFIN = 1
	tcpRST = 4
	tcpACK = 16
)

// TestEndOfConnections has connections in a class to their very end: the last
// ACK is the kernel's, for the socket is gone. Behind the host it is that of
// the kernel there, and has no cgroup.
func TestEndOfConnections(t *testing.T) {
	s := newTraffic(t, lab.Options{LAN: true, Container: true, Forward: true})
	s.apply(t, traffic)
	for _, node := range []*lab.Node{s.Host, s.Container, s.LAN} {
		for _, f := range ips {
			t.Run(node.Name+"/"+string(f), func(t *testing.T) {
				job := in("closed.slice", f.job(lab.TCP, 1))
				s.blameless(t, func() { s.closes(t, node, job) })
			})
		}
	}
}

// closes has a connection by router B to its very end.
func (s *site) closes(t *testing.T, node *lab.Node, job lab.Job) {
	t.Helper()
	s.drain(t)
	c := must[*lab.Client](t)(node.Open(job))
	local := c.Opened.Local
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	// The far server's FIN is answered by the socket that waits.
	closed := false
	s.ends(t, byB, local, func(p lab.Packet) bool {
		closed = closed || p.TCPFlags&tcpFIN != 0
		return closed && p.TCPFlags == tcpACK
	})
}

// TestResetsFromBehind has connections of a container that it resets, and a
// segment that comes for one when its socket is gone.
func TestResetsFromBehind(t *testing.T) {
	s := newTraffic(t, lab.Options{Container: true, Forward: true})
	s.apply(t, traffic)
	for _, f := range bothFamilies {
		t.Run(string(f), func(t *testing.T) {
			job := in("closed.slice", f.job(lab.TCP, 1))
			job.NoReply, job.Count, job.Size = true, 1, 16 // what comes back is left unread
			s.drain(t)
			c := must[*lab.Client](t)(s.Container.Open(job))
			local := c.Opened.Local
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			reset := func(p lab.Packet) bool { return p.TCPFlags&tcpRST != 0 }
			s.ends(t, byB, local, reset)
			s.inject(t, s.Far, "to-a", segment(job.To[0], netip.AddrPortFrom(f.inside(s.Container), local.Port())))
			s.ends(t, byB, local, reset)
		})
	}
	t.Run("of nobody's connection", func(t *testing.T) {
		to := netip.AddrPortFrom(v4.inside(s.Container), 999)
		s.drain(t)
		s.inject(t, s.Far, "to-a", segment(v4.service(1), to))
		s.ends(t, byA, to, func(p lab.Packet) bool { return p.TCPFlags&tcpRST != 0 })
	})
}

// ends waits for a packet from an address and port at a router, and checks that
// none passes another.
func (s *site) ends(t *testing.T, router int, from netip.AddrPort, last func(lab.Packet) bool) {
	t.Helper()
	ours := func(p lab.Packet) bool { return p.Proto == unix.IPPROTO_TCP && p.Src.Port() == from.Port() }
	seen, err := s.captures[router].Wait(1, 5e9, func(p lab.Packet) bool { return ours(p) && last(p) })
	if err != nil {
		t.Errorf("%v, but %v", err, seen)
	}
	for n, packets := range s.collect(t, ours) {
		for _, p := range packets {
			if n != router || p.Src.Addr() != from.Addr().Unmap() {
				t.Errorf("router %d got %v; all should pass router %d from %s", n, p, router, from)
			}
		}
	}
}

// TestErrorsFromBehind has a datagram come for a container's socket that is gone:
// the kernel there says so in its class. Where nobody was, it says so by the
// uplink that was asked.
func TestErrorsFromBehind(t *testing.T) {
	s := newTraffic(t, lab.Options{Container: true, Forward: true})
	s.apply(t, traffic)
	for _, f := range bothFamilies {
		far, here := f.service(1), f.inside(s.Container)
		for _, kind := range []lab.Kind{lab.UDP, lab.SendTo} {
			t.Run(fmt.Sprintf("%s/%s", kind, f), func(t *testing.T) {
				job := in("closed.slice", f.job(kind, 1))
				job.Count = 1
				c := must[*lab.Client](t)(s.Container.Open(job))
				to := netip.AddrPortFrom(here, c.Opened.Local.Port())
				if err := errors.Join(c.Opened.Err(), c.Close()); err != nil {
					t.Fatal(err)
				}
				s.complains(t, byB, far, to, "to-a")
			})
		}
		t.Run("of nobody's/"+string(f), func(t *testing.T) {
			s.complains(t, byB, far, netip.AddrPortFrom(here, 999), "to-b")
		})
	}
}

// complains sends a datagram to a port behind the host that nobody is at, by a
// link of the far server's, and checks that it is told so by one router.
func (s *site) complains(t *testing.T, router int, from, to netip.AddrPort, link string) {
	t.Helper()
	late := datagram{from: from.Addr(), to: to.Addr(), sport: from.Port(), dport: to.Port()}.bytes()
	s.blameless(t, func() {
		s.arrives(t, from.Addr(), router, to.Addr(), func() { s.inject(t, s.Far, link, late) })
	})
}
