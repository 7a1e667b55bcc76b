// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"testing"

	"waymark/internal/plan"
)

// TestLeads has an uplink lose its router, and keep a prefix of its link.
func TestLeads(t *testing.T) {
	link, elsewhere := netip.MustParsePrefix("2001:db8:2::/64"), netip.MustParsePrefix("2001:db8:3::/64")
	for name, c := range map[string]struct {
		router, strict bool
		main           netip.Prefix
		want           bool
	}{
		"with a router":                     {true, false, link, true},
		"with what main reaches":            {false, false, link, false},
		"with what main does not reach":     {false, false, elsewhere, true},
		"of a class that does not ask main": {false, true, link, true},
	} {
		u := plan.Uplink{Name: "b", Table: 7001, Families: map[plan.Family]bool{plan.IPv6: c.router}}
		p := &plan.Plan{ByMain: []netip.Prefix{c.main}, Classes: []plan.Class{{}},
			Routes: []plan.Route{{Family: plan.IPv6, Table: 7001, Dst: link}}}
		p.Classes[0].Route.Uplinks, p.Classes[0].Route.Strict = []string{"b"}, c.strict
		if got := leads(p, u, plan.IPv6); got != c.want || leads(p, u, plan.IPv4) {
			t.Errorf("%s: %v, want %v, and none of IPv4", name, got, c.want)
		}
	}
}
