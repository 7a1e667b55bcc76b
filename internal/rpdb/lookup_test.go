// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"errors"
	"net/netip"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// steer gives each family a default by a in main, one by b in table 100 for
// mark 1, and refusals for marks 2 to 4.
func steer(t *testing.T, h *Handle) {
	t.Helper()
	for _, f := range plan.Families {
		main := plan.Route{Family: f, Table: plan.TableMain, Dst: f.Default(), Metric: 1, Protocol: plan.Protocol, Hops: []plan.NextHop{{Gateway: networks[f]["a"][0], Interface: "a"}}}
		byB := plan.Route{Family: f, Table: 100000, Dst: f.Default(), Metric: 1, Protocol: plan.Protocol, Hops: []plan.NextHop{{Gateway: networks[f]["b"][0], Interface: "b"}}}
		err := errors.Join(h.AddRoute(main), h.AddRoute(byB))
		for i, action := range []plan.Action{plan.Lookup, plan.Unreachable, plan.Prohibit, plan.Blackhole} {
			rule := plan.Rule{Family: f, Priority: uint32(1000 + i), Mark: uint32(1 + i), Mask: 0xff, Action: action, Protocol: plan.Protocol}
			if action == plan.Lookup {
				rule.Table = 100000
			}
			err = errors.Join(err, h.AddRule(rule))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestLookupGivesTheKernelsRoute(t *testing.T) {
	h := namespace(t)
	steer(t, h)
	far4, far6 := addr("198.51.100.1"), addr("2001:db8:5::1")
	a4 := Answer{Table: plan.TableMain, Gateway: addr("10.0.1.1"), Interface: "a", Source: addr("10.0.1.2")}
	b4 := Answer{Table: 100000, Gateway: addr("10.0.2.1"), Interface: "b", Source: addr("10.0.2.2")}
	a6 := Answer{Table: plan.TableMain, Gateway: addr("2001:db8:1::1"), Interface: "a", Source: addr("2001:db8:1::2")}
	b6 := Answer{Table: 100000, Gateway: addr("2001:db8:2::1"), Interface: "b", Source: addr("2001:db8:2::2")}
	kept := b4
	kept.Source = addr("10.0.1.2")
	for name, c := range map[string]struct {
		q    Query
		want Answer
	}{
		"no mark IPv4":         {Query{Dst: far4}, a4},
		"no mark IPv6":         {Query{Dst: far6}, a6},
		"mark IPv4":            {Query{Dst: far4, Mark: 0x101}, b4},
		"mark IPv6":            {Query{Dst: far6, Mark: 0x101}, b6},
		"v4-mapped":            {Query{Dst: netip.AddrFrom16(far4.As16()), Mark: 1}, b4},
		"ports":                {Query{Dst: far4, Mark: 1, Proto: unix.IPPROTO_TCP, Sport: 1, Dport: 443}, b4},
		"a source is kept":     {Query{Dst: far4, Mark: 1, Src: addr("10.0.1.2")}, kept},
		"bound to a link":      {Query{Dst: far4, Interface: "a"}, a4},
		"unreachable IPv4":     {Query{Dst: far4, Mark: 2}, Answer{Err: "ENETUNREACH"}},
		"unreachable IPv6":     {Query{Dst: far6, Mark: 2}, Answer{Err: "ENETUNREACH"}},
		"prohibit IPv4":        {Query{Dst: far4, Mark: 3}, Answer{Err: "EACCES"}},
		"prohibit IPv6":        {Query{Dst: far6, Mark: 3}, Answer{Err: "EACCES"}},
		"blackhole IPv4":       {Query{Dst: far4, Mark: 4}, Answer{Err: "EINVAL"}},
		"blackhole IPv6":       {Query{Dst: far6, Mark: 4}, Answer{Err: "EINVAL"}},
		"the host's own":       {Query{Dst: addr("10.0.1.2")}, Answer{Table: plan.TableLocal, Interface: "lo", Source: addr("10.0.1.2")}},
		"connected":            {Query{Dst: addr("10.0.2.7")}, Answer{Table: plan.TableMain, Interface: "b", Source: addr("10.0.2.2")}},
		"forwarded, no router": {Query{Dst: far4, Src: addr("10.0.2.7"), From: "b"}, Answer{Err: "EHOSTUNREACH"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := must(h.Lookup(c.q))(t)
			if diff := gocmp.Diff(c.want, got, compareAddr); diff != "" {
				t.Errorf("want (-) got (+):\n%s", diff)
			}
		})
	}
}

// Kernels differ in the errno; none routes it.
func TestLookupFromSomebodyElsesAddress(t *testing.T) {
	h := namespace(t)
	steer(t, h)
	got := must(h.Lookup(Query{Dst: addr("198.51.100.1"), Src: addr("192.0.2.77")}))(t)
	if got != (Answer{Err: got.Err}) || got.Err == "" {
		t.Errorf("answered %+v, want an errno", got)
	}
}

func TestLookupAsksAsTheUser(t *testing.T) {
	h := namespace(t)
	steer(t, h)
	byUser := message(encodeRule(plan.Rule{Family: plan.IPv4, Priority: 900, Action: plan.Prohibit, Protocol: 4}))
	byUser.attr(unix.FRA_UID_RANGE, []byte{0xe8, 3, 0, 0, 0xe8, 3, 0, 0}) // 1000 on a little-endian machine
	send(t, h, unix.RTM_NEWRULE, byUser)
	for uid, want := range map[uint32]string{0: "", 1000: "EACCES"} {
		if got := must(h.Lookup(Query{Dst: addr("198.51.100.1"), UID: uid}))(t); got.Err != want {
			t.Errorf("uid %d: error %q, want %q", uid, got.Err, want)
		}
	}
}

func TestLookupRefusesNonsense(t *testing.T) {
	h := namespace(t)
	for name, q := range map[string]Query{
		"no destination":        {},
		"two families":          {Dst: addr("192.0.2.1"), Src: addr("2001:db8::1")},
		"interface not there":   {Dst: addr("192.0.2.1"), Interface: "gone0"},
		"protocol not routable": {Dst: addr("192.0.2.1"), Proto: 132},
	} {
		if a, err := h.Lookup(q); err == nil {
			t.Errorf("%s: answered %+v", name, a)
		}
	}
}
