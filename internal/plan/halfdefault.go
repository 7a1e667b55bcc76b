// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"
)

// HalfDefault is the first of main's two half default routes, as OpenVPN's
// redirect-gateway def1 sets; false: it does not have both.
func HalfDefault(facts Facts, family Family) (half Route, both bool) {
	low, high := "0.0.0.0/1", "128.0.0.0/1"
	if family == IPv6 {
		low, high = "::/1", "8000::/1"
	}
	at := func(prefix string) int {
		dst := netip.MustParsePrefix(prefix)
		return slices.IndexFunc(facts.Routes, func(r Route) bool { return r.Table == TableMain && r.Dst == dst && len(r.Hops) > 0 })
	}
	first, second := at(low), at(high)
	if first < 0 || second < 0 {
		return Route{}, false
	}
	return facts.Routes[first], true
}

// AsksMain tells whether a rule first asks main for what it knows by more than its
// default: whether a class or an uplink is not strict.
func (p *Plan) AsksMain(family Family) bool {
	return slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.Family == family && r.Suppress })
}
