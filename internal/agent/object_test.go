// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"waymark/internal/plan"
)

// TestOnly takes changes apart and leaves pairs that stand in for each other
// together.
func TestOnly(t *testing.T) {
	rule := plan.Rule{Family: plan.IPv4, Priority: 1001, Action: plan.Lookup, Table: 7001, Protocol: plan.Protocol}
	by := func(gateway string) plan.Route {
		return plan.Route{Family: plan.IPv4, Table: 7001, Dst: plan.IPv4.Default(), Protocol: plan.Protocol,
			Hops: []plan.NextHop{{Gateway: netip.MustParseAddr(gateway), Interface: "up-b"}}}
	}
	c := plan.Changes{
		AddRules: []plan.Rule{rule}, AddRoutes: []plan.Route{by("10.0.2.1")}, DeleteRoutes: []plan.Route{by("10.0.2.3")},
		Attach: []plan.Hook{{Program: "egress", Place: "up-b", Pin: "egress-1"}},
		Detach: []plan.Hook{{Program: "egress", Place: "nowhere", Pin: "egress-1"}, {Program: "ingress", Place: "gone", Pin: "ingress-7"}},
		// What is given back is the host's own value, and nothing that is taken away.
		GiveBack: []plan.Sysctl{{Name: "net/ipv6/conf/lo/forwarding", Value: "0"}},
		Classes:  true,
	}
	want := []Object{
		{Kind: "hook", Text: "egress at up-b"},
		{Kind: "rule", Text: "ip -4 rule add priority 1001 from all lookup 7001 protocol 119"},
		{Kind: "route", Text: "ip -4 route add default via 10.0.2.1 dev up-b table 7001 protocol 119"},
		{Kind: "sysctl", Text: "net/ipv6/conf/lo/forwarding=0"},
		{Kind: "hook", Text: "remove ingress at gone"},
	}
	if diff := cmp.Diff(want, objectsOf(c), cmpopts.IgnoreUnexported(Object{})); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	if got := only(c, func(o Object) bool { return o.Kind == "route" }); len(got.AddRoutes) != 1 || len(got.DeleteRoutes) != 1 || got.AddRules != nil || !got.Classes {
		t.Errorf("of the routes: %v", got)
	}
}
