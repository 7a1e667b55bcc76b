// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"encoding/binary"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// routesIn are the routes of a table in ip(8)'s words.
func routesIn(t *testing.T, h *Handle, table uint32) []string {
	t.Helper()
	var words []string
	for _, r := range must(h.Routes())(t) {
		if r.Table == table {
			words = append(words, r.Args())
		}
	}
	return words
}

func send(t *testing.T, h *Handle, kind int, m message) {
	t.Helper()
	if _, err := h.change(kind, unix.NLM_F_CREATE|unix.NLM_F_ACK, m); err != nil {
		t.Fatal(err)
	}
}

func TestRefusingRoutesHaveNoHops(t *testing.T) {
	h := namespace(t)
	for i, kind := range []uint8{unix.RTN_UNREACHABLE, unix.RTN_PROHIBIT, unix.RTN_BLACKHOLE, unix.RTN_THROW} {
		for _, f := range plan.Families {
			r := plan.Route{Family: f, Table: 100, Dst: f.Default(), Metric: uint32(1 + i), Protocol: 4}
			send(t, h, unix.RTM_NEWROUTE, encodeKey(r, kind, unix.RT_SCOPE_UNIVERSE, 0))
		}
	}
	n := 0
	for _, r := range must(h.Routes())(t) {
		if r.Table == 100 && r.IsDefault() && len(r.Hops) == 0 && !r.Down {
			n++
		}
	}
	if n != 8 {
		t.Errorf("%d refusing routes without hops, want 8: %q", n, routesIn(t, h, 100))
	}
}

func TestLocalAndOddRoutesAreLeftOut(t *testing.T) {
	h := namespace(t)
	for _, r := range must(h.Routes())(t) {
		if r.Table == plan.TableLocal || r.Dst.Addr().IsMulticast() {
			t.Errorf("read %s", r)
		}
	}
	if got := routesIn(t, h, plan.TableMain); !slices.Contains(got, "10.0.1.0/24 dev a src 10.0.1.2 table main protocol 2") {
		t.Errorf("main lacks the connected route: %q", got)
	}
}

func TestRouteIsDownWithItsCarrier(t *testing.T) {
	h := namespace(t)
	connected := func() plan.Route {
		routes := must(h.Routes())(t)
		return routes[slices.IndexFunc(routes, func(r plan.Route) bool { return r.Dst == prefix("10.0.1.0/24") })]
	}
	if r := connected(); r.Down {
		t.Errorf("down with carrier: %s", r)
	}
	if err := netlink.LinkSetDown(link(t, "a-peer")); err != nil {
		t.Fatal(err)
	}
	for range 5000 { // the kernel says so a little later
		if connected().Down {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("still up without carrier: %s", connected())
}

// nexthopObject adds the object id: by a gateway of a link, or a group.
func nexthopObject(t *testing.T, h *Handle, id uint32, index int, gateway string, group ...[2]uint32) {
	t.Helper()
	m := make(message, nhmsg)
	if group == nil {
		m[0] = number(plan.FamilyOf(addr(gateway)))
	}
	m.u32(unix.NHA_ID, id)
	var entries []byte
	for _, g := range group {
		entries = binary.NativeEndian.AppendUint32(entries, g[0])
		entries = append(entries, uint8(g[1]-1), 0, 0, 0)
	}
	if group != nil {
		m.attr(unix.NHA_GROUP, entries)
	} else {
		m.u32(unix.NHA_OIF, uint32(index))
		m.addr(unix.NHA_GATEWAY, addr(gateway))
	}
	send(t, h, unix.RTM_NEWNEXTHOP, m)
}

func TestNexthopObjectsReadAsTheirHops(t *testing.T) {
	h := namespace(t)
	a, b := must(h.linkIndex("a"))(t), must(h.linkIndex("b"))(t)
	nexthopObject(t, h, 1, a, "10.0.1.1")
	nexthopObject(t, h, 2, b, "10.0.2.1")
	nexthopObject(t, h, 3, 0, "", [2]uint32{1, 3}, [2]uint32{2, 1})
	for id, metric := range map[uint32]uint32{1: 5, 3: 6} {
		m := encodeKey(plan.Route{Family: plan.IPv4, Table: 100, Dst: plan.IPv4.Default(), Metric: metric, Protocol: 11}, unix.RTN_UNICAST, 0, 0)
		m.u32(rtaNexthopID, id)
		send(t, h, unix.RTM_NEWROUTE, m)
	}
	want := []string{
		"default via 10.0.1.1 dev a metric 5 table 100 protocol 11",
		"default nexthop via 10.0.1.1 dev a weight 3 nexthop via 10.0.2.1 dev b weight 1 metric 6 table 100 protocol 11",
	}
	for _, mode := range []string{"1", "0"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/nexthop_compat_mode", []byte(mode), 0); err != nil {
			t.Fatal(err)
		}
		if got := routesIn(t, h, 100); !slices.Equal(got, want) {
			t.Errorf("nexthop_compat_mode=%s: read %q, want %q", mode, got, want)
		}
	}
}

func TestIPv4RouteByIPv6Gateway(t *testing.T) {
	h := namespace(t)
	r := plan.Route{Family: plan.IPv4, Table: 100, Dst: plan.IPv4.Default(), Protocol: plan.Protocol, Hops: []plan.NextHop{{Gateway: addr("fe80::1"), Interface: "a"}}}
	if err := h.AddRoute(r); err != nil {
		t.Fatal(err)
	}
	if diff := diffRoutes([]plan.Route{r}, ourRoutes(t, h)); diff != "" {
		t.Errorf("want (-) got (+):\n%s", diff)
	}
}
