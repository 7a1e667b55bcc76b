// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
	"waymark/loader"
)

// TestOddSenders has applications send in ways that are not the usual ones:
// every datagram goes the way of its class.
func TestOddSenders(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	for _, f := range bothFamilies {
		one, two, three := f.service(1).Addr(), f.service(2).Addr(), f.service(3).Addr()
		for _, c := range []struct {
			how, cgroup string
			to          []netip.Addr
			routers     []int
			counted     ledger
		}{
			{"sendmmsg", "", []netip.Addr{one, three, one, two, three}, []int{byA, byC, byA, byA, byC}, ledger{}},
			{"sendmmsg", "app.slice", []netip.Addr{one, three, two}, []int{byB, byC, byB}, ledger{}},
			{"zerocopy", "app.slice", []netip.Addr{one}, []int{byB}, ledger{}},
			{"zerocopy", "", []netip.Addr{three}, []int{byC}, ledger{}},
			{"corked", "", []netip.Addr{three}, []int{byC}, ledger{}},
			{"reuse port", "app.slice", []netip.Addr{one}, []int{byB}, ledger{}},
			{"reuse port", "", []netip.Addr{three}, []int{byC}, ledger{}},
			{"passed", "app.slice", []netip.Addr{one}, []int{byB}, ledger{}},
			{"fast open", "app.slice", []netip.Addr{one}, []int{byB}, ledger{}},
			{"fast open", "", []netip.Addr{three}, []int{byC}, ledger{}},
			{"lite", "app.slice", []netip.Addr{one}, []int{byB}, ledger{}},
			{"lite", "", []netip.Addr{three}, []int{byC}, ledger{}},
			{"lite, connected", "app.slice", []netip.Addr{one}, []int{byB}, ledger{}},
			{"lite, connected", "", []netip.Addr{three}, []int{byC}, ledger{"tuple a": repaired(misrouted(1, late))}},
			{"raw UDP", "app.slice", []netip.Addr{one}, []int{byB}, ledger{}},
			{"raw UDP", "", []netip.Addr{three}, []int{byC}, ledger{"tuple a": repaired(misrouted(1, late))}},
			{"raw TCP", "app.slice", []netip.Addr{one}, []int{byB}, ledger{}},
			{"raw TCP", "", []netip.Addr{three}, []int{byC}, ledger{"tuple a": repaired(misrouted(1, late))}},
			{"reconnect", "", []netip.Addr{one, three, two}, []int{byA, byC, byA}, ledger{}},
			{"reconnect", "app.slice", []netip.Addr{three, one}, []int{byC, byB}, ledger{}},
			{"begin anew", "", []netip.Addr{three, one, two}, []int{byC, byA, byA}, ledger{}},
			{"begin anew", "app.slice", []netip.Addr{three, one}, []int{byC, byB}, ledger{}},
			// The kernel keeps the source of the first connection, which is the first uplink's.
			{"connect on", "", []netip.Addr{one, three}, []int{byA, byA}, ledger{"tuple a": misrouted(1, pinned)}},
			{"interface", "app.slice", []netip.Addr{one}, []int{byA}, ledger{"group a": misrouted(1, chosen)}},
			{"interface", "", []netip.Addr{three}, []int{byA}, ledger{"tuple a": misrouted(1, chosen)}},
			{"one interface", "app.slice", []netip.Addr{one}, []int{byA}, ledger{"group a": misrouted(1, chosen)}},
			{"one interface", "", []netip.Addr{three}, []int{byA}, ledger{"tuple a": misrouted(1, chosen)}},
			{"one interface, connected", "app.slice", []netip.Addr{one}, []int{byA}, ledger{"group a": misrouted(1, chosen)}},
			{"one interface, connected", "", []netip.Addr{three}, []int{byA}, ledger{"tuple a": misrouted(1, chosen)}},
			{"one beside, connected", "app.slice", []netip.Addr{one}, []int{byA}, ledger{"group a": misrouted(1, chosen)}},
			{"one beside, connected", "closed.slice", []netip.Addr{one}, []int{byA}, ledger{"closed a": misrouted(1, chosen)}},
		} {
			t.Run(fmt.Sprintf("%s in %q to %v", c.how, c.cgroup, c.to), func(t *testing.T) {
				want := map[netip.Addr]int{}
				for i, to := range c.to {
					want[to] = c.routers[i]
				}
				args := []string{"be-odd", c.how}
				for _, to := range c.to {
					args = append(args, to.String())
				}
				s.account(t, c.counted, func() { s.each(t, want, func() { s.work(t, c.cgroup, args...) }) })
			})
		}
	}
}

// TestSentAside has a connected socket send one datagram to somebody else, of
// another class: that one is of its class, and what follows of the connection's.
// Those who watch hear of it in its class, too.
func TestSentAside(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic+"  - {name: beside, route: [c], match: [{dst: [203.0.113.2, \"2001:db8:f::2\"]}]}\n")
	for _, f := range bothFamilies {
		one, two, three := f.service(1).Addr(), f.service(2).Addr(), f.service(3).Addr()
		for _, c := range []struct {
			cgroup  string
			to      []netip.Addr
			routers map[netip.Addr]int
			counted ledger
		}{
			{"", []netip.Addr{three, one}, map[netip.Addr]int{three: byC, one: byC}, ledger{"unclassed c": misrouted(1, pinned)}},
			{"", []netip.Addr{one, three}, map[netip.Addr]int{three: byA, one: byA}, ledger{"tuple a": misrouted(1, pinned)}},
			{"app.slice", []netip.Addr{three, one}, map[netip.Addr]int{three: byC, one: byC}, ledger{"group c": misrouted(1, pinned)}},
			{"closed.slice", []netip.Addr{three, one}, map[netip.Addr]int{three: byC}, ledger{"closed c": dropped(misrouted(1, pinned))}},
		} {
			t.Run(fmt.Sprintf("in %q to %v", c.cgroup, c.to), func(t *testing.T) {
				s.account(t, c.counted, func() {
					s.each(t, c.routers, func() { s.work(t, c.cgroup, "be-odd", "aside", c.to[0].String(), c.to[1].String()) })
				})
			})
		}
		w := s.watch(t)
		s.work(t, "", "be-odd", "aside", three.String(), two.String())
		for to, class := range map[netip.Addr]string{three: "tuple", two: "beside"} {
			w.tells(t, loader.EventOpened, func(e loader.Event) bool {
				peer, err := netip.ParseAddrPort(e.Peer)
				return err == nil && peer.Addr() == to && e.Class == class
			})
		}
		w.ends(t)
	}
}

// each checks that what do sends to some addresses passes one router each,
// with that uplink's source.
func (s *site) each(t *testing.T, routers map[netip.Addr]int, do func()) {
	t.Helper()
	s.drain(t)
	do()
	missing := map[netip.Addr]bool{}
	for to := range routers {
		missing[to] = true
	}
	for deadline := time.Now().Add(5 * time.Second); len(missing) > 0 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for n, packets := range s.collect(t, func(p lab.Packet) bool { return true }) {
			for _, p := range packets {
				router, ours := routers[p.Dst.Addr()]
				if ours && (n != router || p.Src.Addr() != s.address(n, p.Dst.Addr())) {
					t.Errorf("router %d got %v; it should pass router %d with that uplink's source", n, p, router)
				}
				delete(missing, p.Dst.Addr())
			}
		}
	}
	for to := range missing {
		t.Errorf("no router got anything to %s", to)
	}
}

// TestToAllOnALink has classed sockets send to groups and to all on an
// uplink's link: there is no other way to them, and nothing to mend. Their
// way is main's where the class does not say more.
func TestToAllOnALink(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic+"  - {name: groups, route: [c], otherwise: unreachable, match: [{dst: [239.0.0.0/8, \"ff0e::/16\"]}]}\n")
	for _, to := range []string{"10.0.1.255", "255.255.255.255", "224.0.0.251", "239.1.2.3", "ff02::fb", "ff05::1:3", "ff0e::1"} {
		for _, cgroup := range []string{"", "app.slice", "closed.slice"} {
			t.Run(fmt.Sprintf("%s in %q", to, cgroup), func(t *testing.T) {
				a := netip.MustParseAddr(to)
				s.drain(t)
				s.account(t, ledger{}, func() { s.work(t, cgroup, "be-odd", "to all", to) })
				found := 0
				for n, packets := range s.collect(t, func(p lab.Packet) bool { return p.Dst.Addr() == a && p.Proto == unix.IPPROTO_UDP }) {
					for _, p := range packets {
						if found++; p.Src.Addr().Is4() && p.Src.Addr() != s.address(n, a) {
							t.Errorf("router %d got %v, from another uplink's address", n, p)
						}
						if a == netip.MustParseAddr("10.0.1.255") && n != byA {
							t.Errorf("router %d got %v, of another link", n, p)
						}
					}
				}
				if found != 2 {
					t.Errorf("the routers got %d datagrams, want 2", found)
				}
			})
		}
	}
}
