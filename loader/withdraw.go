// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"maps"
	"slices"

	"waymark/internal/plan"
)

// withdraw has nothing be sent any more by uplinks that lead nowhere. It comes
// before all else, for until then packets are lost.
func (a *apply) withdraw() {
	if a.fresh {
		return
	}
	if both := union(a.next.Withdrawn, a.state.Withdrawn); !maps.Equal(both, a.state.Withdrawn) {
		a.tellWithdrawn(a.state.Withdrawn, both)
	}
	a.deleteRoutes(a.leadsNowhere)
}

// leadsNowhere tells whether a route is the default of an uplink that nothing
// is to be sent by.
func (a *apply) leadsNowhere(r plan.Route) bool {
	return !a.fresh && r.IsDefault() && slices.ContainsFunc(a.plan.Uplinks, func(u plan.Uplink) bool {
		return u.Withdrawn != "" && u.Table == r.Table
	})
}

// giveBack has the uplinks be used again that are not withdrawn any more: their
// routes are there by now.
func (a *apply) giveBack() {
	if a.fresh {
		return
	}
	if both := union(a.next.Withdrawn, a.state.Withdrawn); !maps.Equal(a.next.Withdrawn, both) {
		a.tellWithdrawn(both, a.next.Withdrawn)
	}
}

// tellWithdrawn tells the programs which uplinks nothing is to be sent by.
func (a *apply) tellWithdrawn(before, after map[string]string) {
	a.do(func() error { return a.putUplinks(after) }, func() error { return a.putUplinks(before) })
}

func (a *apply) putUplinks(withdrawn map[string]string) error {
	p := *a.plan
	p.Uplinks = slices.Clone(p.Uplinks)
	for k, u := range p.Uplinks {
		p.Uplinks[k].Withdrawn = withdrawn[u.Name]
	}
	return a.instance.PutUplinks(&p)
}
