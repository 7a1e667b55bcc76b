// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"testing"

	"waymark/internal/lab"
)

// TestInbound has the far server ask servers on the host, by every uplink.
// They listen on the wildcard address, and some of them answer by a plain
// sendto, or connect first: the answer leaves by the uplink that the question came in on, with
// the address that was asked.
func TestInbound(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.listen(t, "app.slice", 108) // before the apply
	s.apply(t, traffic)
	servers := []struct {
		name   string
		port   uint16
		cgroup string
	}{{"unclassed", 100, ""}, {"classed", 102, "app.slice"}, {"no leak", 104, "closed.slice"}}
	for _, server := range servers {
		s.listen(t, server.cgroup, server.port)
		s.echo(t, server.cgroup, "udp4", server.port+10)
	}
	for i, network := range []string{"udp4", "udp", "udp6"} {
		s.echoConnected(t, "app.slice", network, uint16(120+i))
	}
	servers = append(servers, servers[1])
	servers[3].name, servers[3].port = "opened before", 108
	for _, server := range servers {
		for uplink := range s.Routers {
			for _, f := range bothFamilies {
				to := s.address(uplink, f.service(1).Addr())
				for _, c := range []struct {
					name string
					kind lab.Kind
					port uint16
				}{{"TCP", lab.TCP, server.port}, {"UDP", lab.UDP, server.port}, {"plain UDP", lab.UDP, server.port + 1}, {"plain UDP of IPv4", lab.UDP, server.port + 10},
					{"UDP of IPv4 that connects", lab.UDP, 120}, {"UDP that connects", lab.UDP, 121}, {"UDP of IPv6 that connects", lab.UDP, 122}} {
					if c.port >= 120 && (server.port != 102 || (f == v6) != (c.port == 122)) {
						continue
					}
					if c.port >= 110 && c.port < 120 && (f == v6 || server.port == 108) {
						continue
					}
					t.Run(fmt.Sprintf("%s/by uplink %d/%s/%s", server.name, uplink, c.name, f), func(t *testing.T) {
						job := lab.Job{Kind: c.kind, To: []netip.AddrPort{netip.AddrPortFrom(to, c.port)}}
						s.blameless(t, func() { s.answers(t, s.Far, job, uplink) })
					})
				}
			}
		}
	}
}

// TestAskedAmongAll has a router ask all on its link, or all of a group, and a
// server of each kind answer it: from its own address there.
func TestAskedAmongAll(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	s.echo(t, "", "udp", 100)
	s.echo(t, "app.slice", "udp", 101)
	s.echo(t, "closed.slice", "udp4", 102)
	router := s.Uplink(byA)
	for _, all := range []string{"10.0.1.255", "255.255.255.255", "224.0.0.1", "ff02::1"} {
		to, peer := netip.MustParseAddr(all), router.Gateway4
		if to.Is6() {
			peer = router.Gateway6
		}
		for port := uint16(100); port < 103; port++ {
			if to.IsMulticast() && to.Is4() != (port == 102) {
				continue // which a socket of IPv6 does not hear without asking
			}
			t.Run(fmt.Sprintf("%s port %d", to, port), func(t *testing.T) {
				s.arrives(t, peer, byA, s.address(byA, peer), func() {
					s.inject(t, s.Routers[byA], "down", datagram{from: peer, to: to, sport: 4000, dport: port}.bytes())
				})
			})
		}
	}
}

// blameless checks that nothing of what do causes counts as a misroute.
func (s *site) blameless(t *testing.T, do func()) {
	t.Helper()
	since := s.books(t)
	do()
	for line, c := range s.booked(t, since) {
		if c.Misroutes != 0 || c.Dropped != 0 {
			t.Errorf("%s counts %+v", line, c)
		}
	}
}

// TestKernelsOwnAnswers has what no socket of an application sends: echo
// replies, a RST, and ICMP errors leave where the question came in.
func TestKernelsOwnAnswers(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	const nobody = 999
	for uplink := range s.Routers {
		for _, f := range bothFamilies {
			to := s.address(uplink, f.service(1).Addr())
			ask := func(kind lab.Kind, port uint16) lab.Job {
				return lab.Job{Kind: kind, To: []netip.AddrPort{netip.AddrPortFrom(to, port)}, Count: 1, Size: 16}
			}
			t.Run(fmt.Sprintf("echo by uplink %d to a classed destination/%s", uplink, f), func(t *testing.T) {
				s.blameless(t, func() { s.answers(t, s.Far, from(f.service(3).Addr(), ask(lab.Ping, 0)), uplink) })
			})
			t.Run(fmt.Sprintf("echo by uplink %d/%s", uplink, f), func(t *testing.T) {
				s.blameless(t, func() { s.answers(t, s.Far, ask(lab.Ping, 0), uplink) })
			})
			for name, kind := range map[string]lab.Kind{"TCP": lab.TCP, "UDP": lab.UDP, "TCP of a classed destination": lab.TCP, "UDP of a classed destination": lab.UDP} {
				errors := func(p lab.Packet) bool { return p.TCPFlags&4 != 0 }
				if kind == lab.UDP {
					errors = func(p lab.Packet) bool { return p.ICMPType == 3 || p.ICMPType == 1 }
				}
				t.Run(fmt.Sprintf("%s refused by uplink %d/%s", name, uplink, f), func(t *testing.T) {
					job := ask(kind, nobody)
					if len(name) > len("TCP") {
						job = from(f.service(3).Addr(), job)
					}
					s.drain(t)
					s.blameless(t, func() {
						if r := must[lab.Result](t)(s.Far.Run(job)); r.Errno != "ECONNREFUSED" {
							t.Errorf("%s: %q, want ECONNREFUSED", r.Call, r.Errno)
						}
					})
					found := 0
					for n, packets := range s.collect(t, errors) {
						for _, p := range packets {
							if found++; n != uplink || p.Src.Addr() != to {
								t.Errorf("router %d got %v; it should pass router %d from %s", n, p, uplink, to)
							}
						}
					}
					if found == 0 {
						t.Error("no router saw an answer")
					}
				})
			}
		}
	}
}
