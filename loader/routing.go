// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"slices"

	"waymark/internal/nat"
	"waymark/internal/plan"
)

func (a *apply) addRoutes() {
	for _, r := range a.changes.AddRoutes {
		a.do(func() error { return a.rules.AddRoute(r) }, func() error {
			for _, old := range a.have.Routes {
				if sameRoutePlace(old, r) {
					return a.rules.AddRoute(old)
				}
			}
			return a.rules.DeleteRoute(r)
		})
	}
}

// sameRoutePlace tells whether adding one route replaces the other.
func sameRoutePlace(a, b plan.Route) bool {
	return a.Family == b.Family && a.Table == b.Table && a.Dst == b.Dst && a.Metric == b.Metric
}

func (a *apply) addRules() {
	for _, r := range a.changes.AddRules {
		a.do(func() error { return a.rules.AddRule(r) }, func() error { return a.rules.DeleteRule(r) })
	}
}

// translate puts the nftables table in the other one's place.
func (a *apply) translate() {
	if a.changes.Table {
		a.do(func() error { return nat.Write(a.plan.Table()) }, func() error { return nat.Write(a.have.Table) })
	}
}

func (a *apply) deleteRules() {
	for _, r := range a.changes.DeleteRules {
		a.do(func() error { return a.rules.DeleteRule(r) }, func() error { return a.rules.AddRule(r) })
	}
}

// deleteRoutes deletes those of a kind that the plan no longer has.
func (a *apply) deleteRoutes(which func(plan.Route) bool) {
	for _, r := range a.changes.DeleteRoutes {
		if !which(r) || slices.ContainsFunc(a.plan.Routes, func(want plan.Route) bool { return sameRoutePlace(want, r) }) {
			continue
		}
		a.do(func() error { return a.rules.DeleteRoute(r) }, func() error { return a.rules.AddRoute(r) })
	}
}
