// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const conflictPolicy = `
mark: {mask: 0xb7ff0000}
uplinks:
  - {name: a, interface: eth0}
  - {name: b, interface: eth1}
classes:
  - {name: one, route: [b], match: {uid: 1}}
  - {name: two, route: {a: 1, b: 1}, match: {uid: 2}}
`

// foreign is a rule of IPv4 that somebody else made.
func foreign(with func(*Rule)) func(*host) {
	return func(h *host) {
		r := Rule{Family: IPv4, Priority: 500, Action: Lookup, Table: TableMain}
		with(&r)
		h.Rules = append(h.Rules, r)
	}
}

// foreignRoute is a route in a table that somebody else made.
func foreignRoute(table uint32, protocol uint8) func(*host) {
	return func(h *host) {
		h.Routes = append(h.Routes, Route{Family: IPv6, Table: table, Dst: prefix("2001:db8:77::/48"), Hops: []NextHop{{Interface: "eth9"}}, Protocol: protocol})
	}
}

const (
	otherRules  = "begin elsewhere with `rules: {base: N}`, or remove that rule"
	otherTables = "begin elsewhere with `tables: {base: N}`, or remove that "
)

var conflictCases = []struct {
	name  string
	other func(*host)
	want  Conflicts
}{
	{"nobody", func(*host) {}, nil},
	{"a rule between the rungs", foreign(func(r *Rule) { r.Priority = 1005 }), nil},
	{"an IPv6 rule where only IPv4 has one", func(h *host) {
		h.change("eth1", func(l *Link) { l.Addresses = l.Addresses[:1] })
		foreign(func(r *Rule) { r.Family, r.Priority = IPv6, 1010 })(h)
	}, nil},
	{"our priority", foreign(func(r *Rule) { r.Priority, r.From = 1011, prefix("192.0.2.0/24") }), Conflicts{{
		"IPv4 rule priority 1011",
		"somebody who left no name, perhaps mwan3: ip -4 rule add priority 1011 from 192.0.2.0/24 lookup main protocol 0", otherRules}}},
	{"our priority, by a daemon", foreign(func(r *Rule) { r.Family, r.Priority, r.Protocol = IPv6, 1020, 18 }), Conflicts{{
		"IPv6 rule priority 1020", "keepalived: ip -6 rule add priority 1020 from all lookup main protocol 18", otherRules}}},
	{"a protocol that nobody knows", foreign(func(r *Rule) { r.Priority, r.Protocol = 1000, 200 }), Conflicts{{
		"IPv4 rule priority 1000", "protocol 200: ip -4 rule add priority 1000 from all lookup main protocol 200", otherRules}}},
	{"our bits in a mask", foreign(func(r *Rule) { r.Mark, r.Mask = 0x80000, 0xff0000 }), Conflicts{{
		"fwmark 0xff0000",
		"somebody who left no name, perhaps Tailscale: ip -4 rule add priority 500 from all fwmark 0x80000/0xff0000 lookup main protocol 0",
		"leave those bits out with `mark: {mask: 0xb7000000}`, or remove that rule"}}},
	{"all our bits in a mask", foreign(func(r *Rule) { r.Mark, r.Mask = 0x1000000, 0xffff0000 }), Conflicts{{
		"fwmark 0xb7ff0000",
		"somebody who left no name, perhaps Calico: ip -4 rule add priority 500 from all fwmark 0x1000000/0xffff0000 lookup main protocol 0",
		"take other bits with `mark: {mask: ...}`, or remove that rule"}}},
	{"our bits in a whole mark", foreign(func(r *Rule) { r.Mark, r.Mask, r.Protocol = 0x6d6f6c65, 1<<32-1, 3 }), Conflicts{{
		"fwmark 0x256f0000",
		"an administrator (ip rule, ip route), perhaps Mullvad: ip -4 rule add priority 500 from all fwmark 0x6d6f6c65/0xffffffff lookup main protocol 3",
		"leave those bits out with `mark: {mask: 0x92900000}`, or remove that rule"}}},
	{"other bits in a mask", foreign(func(r *Rule) { r.Mark, r.Mask = 0x400, 0x3f00 }), nil},
	{"other bits in a whole mark", foreign(func(r *Rule) { r.Mark, r.Mask = 0xca6c, 1<<32-1 }), nil},
	{"a rule that asks for no mark", foreign(func(r *Rule) { r.From = prefix("10.0.1.2/32") }), nil},
	{"our table has a route", foreignRoute(7001, 186), Conflicts{{
		"routing table 7001 (for b)", "BGP: ip -6 route add 2001:db8:77::/48 dev eth9 table 7001 protocol 186", otherTables + "route"}}},
	{"a balance's table has a route", foreignRoute(7002, 4), Conflicts{{
		"routing table 7002 (for {a: 1, b: 1})",
		"static configuration (systemd-networkd, NetworkManager): ip -6 route add 2001:db8:77::/48 dev eth9 table 7002 protocol 4", otherTables + "route"}}},
	{"our table is looked up", foreign(func(r *Rule) { r.Table = 7000 }), Conflicts{{
		"routing table 7000 (for a)", "somebody who left no name: ip -4 rule add priority 500 from all lookup 7000 protocol 0", otherTables + "rule"}}},
	{"our table has two routes and is looked up", func(h *host) {
		foreignRoute(7001, 12)(h)
		foreignRoute(7001, 11)(h)
		foreign(func(r *Rule) { r.Table = 7001 })(h)
	}, Conflicts{{
		"routing table 7001 (for b)", "BIRD: ip -6 route add 2001:db8:77::/48 dev eth9 table 7001 protocol 12", otherTables + "route"}}},
	{"another table", func(h *host) {
		foreignRoute(7003, 4)(h)
		foreign(func(r *Rule) { r.Table = 7004 })(h)
	}, nil},
	{"everything at once", func(h *host) {
		foreignRoute(7001, 4)(h)
		foreign(func(r *Rule) { r.Priority, r.Mark, r.Mask, r.Table = 1010, 0x80000, 0xff0000, 7000 })(h)
	}, Conflicts{
		{"IPv4 rule priority 1010", "somebody who left no name, perhaps Tailscale: ip -4 rule add priority 1010 from all fwmark 0x80000/0xff0000 lookup 7000 protocol 0", otherRules},
		{"fwmark 0xff0000", "somebody who left no name, perhaps Tailscale: ip -4 rule add priority 1010 from all fwmark 0x80000/0xff0000 lookup 7000 protocol 0",
			"leave those bits out with `mark: {mask: 0xb7000000}`, or remove that rule"},
		{"routing table 7001 (for b)", "static configuration (systemd-networkd, NetworkManager): ip -6 route add 2001:db8:77::/48 dev eth9 table 7001 protocol 4", otherTables + "route"},
		{"routing table 7000 (for a)", "somebody who left no name, perhaps Tailscale: ip -4 rule add priority 1010 from all fwmark 0x80000/0xff0000 lookup 7000 protocol 0", otherTables + "rule"},
	}},
}

func TestConflicts(t *testing.T) {
	for _, c := range conflictCases {
		t.Run(c.name, func(t *testing.T) {
			h := twoUplinks()
			c.other(h)
			p, err := Make(parse(t, conflictPolicy), h.Facts, Numbers{}, Options{})
			if p == nil {
				t.Fatalf("no plan beside the conflicts: %v", err)
			}
			var got Conflicts
			if !errors.As(err, &got) && err != nil {
				t.Fatalf("another error: %v", err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestOwnRulesAreNoConflict plans on a host that holds the plan.
func TestOwnRulesAreNoConflict(t *testing.T) {
	h := twoUplinks()
	p := h.make(t, conflictPolicy, Numbers{})
	h.Rules, h.Routes = append(h.Rules, p.Rules...), append(h.Routes, p.Routes...)
	if again := h.make(t, conflictPolicy, p.Numbers); !again.Diff(holding(p)).Empty() {
		t.Error("the same policy is another plan once it is held")
	}
}

func TestConflictsText(t *testing.T) {
	got := Conflicts{{"IPv4 rule priority 1000", "BIRD: ip -4 rule add ...", "remove it"}, {"routing table 7000 (for a)", "OSPF: ip ...", "go elsewhere"}}.Error()
	want := "IPv4 rule priority 1000 belongs to BIRD: ip -4 rule add ...\n  hint: remove it\n" +
		"routing table 7000 (for a) belongs to OSPF: ip ...\n  hint: go elsewhere"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
