// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/datapath"
	"waymark/internal/lab"
)

// traffic is the policy of the traffic table: classes by cgroup, one of
// which must not leak, and by destination.
const traffic = threeUplinks + `
classes:
  - {name: tuple, route: [c], match: [{dst: [203.0.113.3, "2001:db8:f::3"]}]}
  - {name: port, route: [c], otherwise: unreachable, match: [{proto: udp, dport: 9}]}
  - {name: group, route: [b], match: [{cgroup: app.slice}]}
  - {name: closed, route: [b], otherwise: unreachable, match: [{cgroup: closed.slice}]}
`

var bothFamilies = []ip{v4, v6}

// newTraffic is a site of the traffic table, before the apply. The host has
// an address that lives on no uplink, which the far server reaches by a.
func newTraffic(t *testing.T, options lab.Options) *site {
	t.Helper()
	options.Uplinks = 3
	s := newSite(t, options)
	s.cgroups(t, "app.slice", "closed.slice")
	for _, f := range bothFamilies {
		whole := netip.PrefixFrom(f.homeless(), f.homeless().BitLen())
		addAddress(t, s.Host, "lo", whole)
		for n, r := range s.Routers {
			addRoute(t, r, whole, s.address(n, f.homeless()))
		}
		addRoute(t, s.Far, whole, map[ip]netip.Addr{v4: netip.MustParseAddr("10.1.1.1"), v6: netip.MustParseAddr("2001:db8:1:1::1")}[f])
	}
	return s
}

func addAddress(t *testing.T, n *lab.Node, iface string, a netip.Prefix) {
	t.Helper()
	link := must[netlink.Link](t)(n.Handle().LinkByName(iface))
	address := &netlink.Addr{IPNet: ipNet(a), Flags: unix.IFA_F_NODAD}
	if err := n.Handle().AddrAdd(link, address); err != nil {
		t.Fatalf("add address %s to %s: %v", a, iface, err)
	}
	// The kernel adds the local route of an IPv6 address when it gets round to it.
	local := &netlink.Route{Table: unix.RT_TABLE_LOCAL, Dst: ipNet(netip.PrefixFrom(a.Addr(), a.Addr().BitLen()))}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		routes, err := n.Handle().RouteListFiltered(netlink.FAMILY_ALL, local, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_DST)
		if err != nil || len(routes) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the address %s of %s has no route", a, iface)
		}
	}
}

func addRoute(t *testing.T, n *lab.Node, to netip.Prefix, via netip.Addr) {
	t.Helper()
	if err := n.Handle().RouteAdd(&netlink.Route{Dst: ipNet(to), Gw: via.AsSlice()}); err != nil {
		t.Fatalf("add route to %s via %s: %v", to, via, err)
	}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// homeless is the host's address that lives on no uplink.
func (f ip) homeless() netip.Addr {
	if f == v6 {
		return netip.MustParseAddr("2001:db8:99::7")
	}
	return netip.MustParseAddr("198.51.100.7")
}

// A ledger is counters by "class uplink"; lines of zeros are left out.
type ledger map[string]datapath.Counters

// books is what status says now.
func (s *site) books(t *testing.T) ledger {
	t.Helper()
	l := ledger{}
	for _, c := range s.metered(t).Classes {
		for _, u := range c.Traffic {
			l[fmt.Sprintf("%s %s", c.Name, u.Uplink)] = u.Counters
		}
	}
	return l
}

// booked is what was counted since, but for packets and bytes: the routers
// know these.
func (s *site) booked(t *testing.T, since ledger) ledger {
	t.Helper()
	l := s.books(t)
	for line, now := range l {
		was := since[line]
		c := datapath.Counters{
			Misroutes: now.Misroutes - was.Misroutes, Repaired: now.Repaired - was.Repaired,
			Dropped: now.Dropped - was.Dropped, Foreign: now.Foreign - was.Foreign, Refused: now.Refused - was.Refused,
			Causes: datapath.Causes{
				Before: now.Causes.Before - was.Causes.Before, Late: now.Causes.Late - was.Causes.Late,
				Foreign: now.Causes.Foreign - was.Causes.Foreign, Pinned: now.Causes.Pinned - was.Causes.Pinned,
				NoRoute: now.Causes.NoRoute - was.Causes.NoRoute, Chosen: now.Causes.Chosen - was.Causes.Chosen,
			},
		}
		l[line] = c
		if c == (datapath.Counters{}) {
			delete(l, line)
		}
	}
	return l
}

// account checks what was counted while do ran, packets and bytes apart. What was
// sent before has passed: a connection that is over still takes leave.
func (s *site) account(t *testing.T, want ledger, do func()) {
	t.Helper()
	for _, c := range want {
		if c.Repaired > 0 {
			needRepair(t)
		}
	}
	s.quiet(t)
	since := s.books(t)
	do()
	if diff := cmp.Diff(want, s.booked(t, since)); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}

// misrouted is n packets on the wrong uplink by one cause.
func misrouted(n uint64, cause func(*datapath.Causes) *uint64) datapath.Counters {
	var c datapath.Counters
	*cause(&c.Causes) = n
	c.Misroutes = n - c.Causes.Chosen
	return c
}

func before(c *datapath.Causes) *uint64  { return &c.Before }
func late(c *datapath.Causes) *uint64    { return &c.Late }
func foreign(c *datapath.Causes) *uint64 { return &c.Foreign }
func pinned(c *datapath.Causes) *uint64  { return &c.Pinned }
func chosen(c *datapath.Causes) *uint64  { return &c.Chosen }

// repaired is the same packets, all sent to the right uplink instead.
func repaired(c datapath.Counters) datapath.Counters {
	c.Repaired = c.Misroutes
	return c
}

// dropped is the same packets, none let out.
func dropped(c datapath.Counters) datapath.Counters {
	c.Dropped = c.Misroutes
	return c
}
