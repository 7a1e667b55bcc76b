// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

var (
	addr   = netip.MustParseAddr
	prefix = netip.MustParsePrefix
)

// networks are what namespace's links reach: gateways by family and link.
var networks = map[plan.Family]map[string][]netip.Addr{
	plan.IPv4: {"a": {addr("10.0.1.1"), addr("10.0.1.9")}, "b": {addr("10.0.2.1"), addr("10.0.2.9")}},
	plan.IPv6: {"a": {addr("2001:db8:1::1"), addr("fe80::1")}, "b": {addr("2001:db8:2::1"), addr("fe80::1")}},
}

func randomHop(r *rand.Rand, f plan.Family) plan.NextHop {
	hop := plan.NextHop{Interface: []string{"a", "b"}[r.IntN(2)]}
	hop.Gateway = networks[f][hop.Interface][r.IntN(2)]
	if r.IntN(4) == 0 {
		hop.OnLink = true
		hop.Gateway = map[plan.Family]netip.Addr{plan.IPv4: addr("203.0.113.1"), plan.IPv6: addr("2001:db8:ffff::1")}[f]
	}
	return hop
}

// randomRoute draws from few destinations and metrics, so that routes
// replace each other.
func randomRoute(r *rand.Rand) plan.Route {
	f := plan.Families[r.IntN(2)]
	route := plan.Route{
		Family:   f,
		Table:    []uint32{100, 101, 1 << 20}[r.IntN(3)],
		Dst:      map[plan.Family][]netip.Prefix{plan.IPv4: {f.Default(), prefix("198.51.100.0/24")}, plan.IPv6: {f.Default(), prefix("2001:db8:5::/48")}}[f][r.IntN(2)],
		Metric:   []uint32{1, 1024, 0xfffffff0}[r.IntN(3)],
		Protocol: plan.Protocol,
	}
	if f == plan.IPv4 && r.IntN(2) == 0 {
		route.Metric = 0
	}
	if r.IntN(2) == 0 {
		route.Source = map[plan.Family]netip.Addr{plan.IPv4: addr("10.0.1.2"), plan.IPv6: addr("2001:db8:1::2")}[f]
	}
	switch r.IntN(3) {
	case 0:
		route.Hops = []plan.NextHop{{Interface: "a"}}
	case 1:
		route.Hops = []plan.NextHop{randomHop(r, f)}
	case 2:
		for len(route.Hops) < 2+r.IntN(2) {
			hop := randomHop(r, f)
			if !slices.Contains(route.Hops, hop) {
				route.Hops = append(route.Hops, hop)
			}
		}
		for i := range route.Hops {
			route.Hops[i].Weight = 1 + r.IntN(255)
		}
	}
	return route
}

func ourRoutes(t *testing.T, h *Handle) []plan.Route {
	t.Helper()
	return slices.DeleteFunc(must(h.Routes())(t), func(r plan.Route) bool { return r.Protocol != plan.Protocol })
}

func sameKey(a, b plan.Route) bool {
	return a.Family == b.Family && a.Table == b.Table && a.Dst == b.Dst && a.Metric == b.Metric
}

var anyOrder = cmpopts.SortSlices(func(a, b plan.Route) bool { return a.String() < b.String() })

func diffRoutes(want, got []plan.Route) string {
	return gocmp.Diff(want, got, comparePrefix, compareAddr, anyOrder, cmpopts.EquateEmpty())
}

func TestRoutesReadBackEqualWhileTheyReplaceEachOther(t *testing.T) {
	h := namespace(t)
	r := rand.New(rand.NewPCG(1, 0))
	var want []plan.Route
	for range 300 {
		route := randomRoute(r)
		want = slices.DeleteFunc(want, func(o plan.Route) bool { return sameKey(o, route) })
		change := h.DeleteRoute
		if r.IntN(4) > 0 {
			want = append(want, route)
			change = h.AddRoute
		}
		if err := errors.Join(change(route), change(route)); err != nil {
			t.Fatal(err)
		}
		if diff := diffRoutes(want, ourRoutes(t, h)); diff != "" {
			t.Fatalf("after %s, want (-) got (+):\n%s", route, diff)
		}
	}
}

func TestAddRouteLeavesAnEqualOneAlone(t *testing.T) {
	h := namespace(t)
	listener := must(Open())(t)
	defer listener.Close()
	for f, group := range map[plan.Family]int{plan.IPv4: unix.RTNLGRP_IPV4_ROUTE, plan.IPv6: unix.RTNLGRP_IPV6_ROUTE} {
		r := plan.Route{Family: f, Table: 100, Dst: f.Default(), Protocol: plan.Protocol, Hops: []plan.NextHop{{Interface: "a"}}}
		add := func() {
			if err := h.addRoute(r); err != nil {
				t.Fatal(err)
			}
		}
		ours := func(msg []byte) bool {
			r, err := decodeRoute(msg)
			return err != nil || r.Protocol == plan.Protocol
		}
		if !listener.witness.watch(dump{group: group, matters: ours}, add) {
			t.Errorf("%s: a route was added and nobody told", f)
		}
		if listener.witness.watch(dump{group: group, matters: ours}, add) {
			t.Errorf("%s: an equal route was written again", f)
		}
	}
}

func addForeign(t *testing.T, h *Handle, r plan.Route, index int) {
	t.Helper()
	r.Protocol = 4
	if _, err := h.change(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_ACK, encodeRoute(r, []int{index})); err != nil {
		t.Fatal(err)
	}
}

func TestForeignRoutesStay(t *testing.T) {
	for _, f := range plan.Families {
		h := namespace(t)
		index := must(h.linkIndex("a"))(t)
		route := plan.Route{Family: f, Table: 100, Dst: f.Default(), Metric: 7, Protocol: plan.Protocol, Hops: []plan.NextHop{{Gateway: networks[f]["a"][0], Interface: "a"}}}
		addForeign(t, h, route, index)
		before := routesIn(t, h, 100)
		if err := h.AddRoute(route); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: adding over somebody else's route: %v, want ErrForeign", f, err)
		}
		if err := h.DeleteRoute(route); err != nil {
			t.Error(err)
		}
		if diff := gocmp.Diff(before, routesIn(t, h, 100)); diff != "" || len(before) != 1 {
			t.Errorf("%s: somebody else's routes changed, want (-) got (+):\n%s", f, diff)
		}
		_, err := h.change(unix.RTM_DELROUTE, unix.NLM_F_ACK, encodeKey(route, 0, unix.RT_SCOPE_NOWHERE, 0))
		if !errors.Is(err, unix.ESRCH) {
			t.Errorf("%s: deleting somebody else's route with our protocol: %v, want ESRCH", f, err)
		}
	}
}

func TestForeignRoutesBehindOursStay(t *testing.T) {
	h := namespace(t)
	ours := plan.Route{Family: plan.IPv4, Table: 100, Dst: plan.IPv4.Default(), Protocol: plan.Protocol, Hops: []plan.NextHop{{Interface: "a"}}}
	theirs, other := ours, ours
	theirs.Protocol = 4
	other.Hops = []plan.NextHop{{Interface: "b"}}
	if err := h.AddRoute(ours); err != nil {
		t.Fatal(err)
	}
	body := encodeRoute(theirs, []int{must(h.linkIndex("b"))(t)})
	if _, err := h.change(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_APPEND|unix.NLM_F_ACK, body); err != nil {
		t.Fatal(err)
	}
	if err := h.AddRoute(other); !errors.Is(err, ErrForeign) {
		t.Errorf("adding beside somebody else's route: %v, want ErrForeign", err)
	}
	want := []string{"default dev b table 100 protocol 4"}
	if err := h.DeleteRoute(ours); err != nil || !slices.Equal(routesIn(t, h, 100), want) {
		t.Errorf("left %q, want %q: %v", routesIn(t, h, 100), want, err)
	}
}

// With metric 0 the kernel's own deletion would take the first metric.
func TestDeleteRouteOfMetricZeroLeavesOthers(t *testing.T) {
	h := namespace(t)
	zero := plan.Route{Family: plan.IPv4, Table: 100, Dst: plan.IPv4.Default(), Protocol: plan.Protocol, Hops: []plan.NextHop{{Interface: "a"}}}
	other := zero
	other.Metric = 50
	if err := errors.Join(h.AddRoute(other), h.DeleteRoute(zero)); err != nil {
		t.Fatal(err)
	}
	if diff := diffRoutes([]plan.Route{other}, ourRoutes(t, h)); diff != "" {
		t.Errorf("want (-) got (+):\n%s", diff)
	}
}

func TestIPv6MetricLeftOutIsTheKernelsOwn(t *testing.T) {
	h := namespace(t)
	r := plan.Route{Family: plan.IPv6, Table: 100, Dst: plan.IPv6.Default(), Protocol: plan.Protocol, Hops: []plan.NextHop{{Interface: "a"}}}
	if err := errors.Join(h.AddRoute(r), h.AddRoute(r)); err != nil {
		t.Fatal(err)
	}
	if got := ourRoutes(t, h); len(got) != 1 || got[0].Metric != 1024 {
		t.Errorf("read %v, want one route with metric 1024", got)
	}
	if err := h.DeleteRoute(r); err != nil || len(ourRoutes(t, h)) != 0 {
		t.Errorf("left %v: %v", ourRoutes(t, h), err)
	}
}

func TestAddRouteSaysWhatTheInterfaceLacks(t *testing.T) {
	h := namespace(t)
	r := plan.Route{Family: plan.IPv4, Table: 100, Dst: plan.IPv4.Default(), Protocol: plan.Protocol, Hops: []plan.NextHop{{Interface: "gone0"}}}
	if err := h.AddRoute(r); !errors.Is(err, unix.ENODEV) {
		t.Errorf("an interface that does not exist: %v, want ENODEV", err)
	}
	if err := netlink.LinkSetDown(link(t, "a")); err != nil {
		t.Fatal(err)
	}
	r.Hops[0].Interface = "a"
	if err := h.AddRoute(r); !errors.Is(err, unix.ENETDOWN) {
		t.Errorf("an interface that is down: %v, want ENETDOWN", err)
	}
	r.Hops[0] = plan.NextHop{Gateway: addr("203.0.113.1"), Interface: "b"}
	if err := h.AddRoute(r); !errors.Is(err, unix.ENETUNREACH) {
		t.Errorf("a gateway on no network: %v, want ENETUNREACH", err)
	}
}
