// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"slices"
	"strings"
)

// wayOut is an interface by which default routes of the host's own lead.
type wayOut struct {
	name     string // for an uplink
	device   string
	link     Link
	routes   []Route
	gateways []string
}

// waysOut are the host's, the one that it prefers first.
func waysOut(facts Facts) (ways []wayOut) {
	routes := slices.DeleteFunc(slices.Clone(facts.Routes), func(r Route) bool {
		return !r.IsDefault() || r.Protocol == Protocol || r.Table == TableLocal
	})
	slices.SortStableFunc(routes, preferred)
	for _, r := range routes {
		for _, hop := range r.Hops {
			link, exists := facts.Links[hop.Interface]
			if !exists {
				continue
			}
			k := slices.IndexFunc(ways, func(w wayOut) bool { return w.device == hop.Interface })
			if k < 0 {
				k, ways = len(ways), append(ways, wayOut{name: uplinkName(hop.Interface), device: hop.Interface, link: link})
			}
			w := &ways[k]
			if last := len(w.routes) - 1; last < 0 || !w.routes[last].Equal(r) {
				w.routes = append(w.routes, r)
			}
			if g := hop.Gateway.String(); hop.Gateway.IsValid() && !slices.Contains(w.gateways, g) {
				w.gateways = append(w.gateways, g)
			}
		}
	}
	return ways
}

// preferred puts main's routes first, and the lower metric.
func preferred(a, b Route) int {
	foreign := func(r Route) int {
		if r.Table == TableMain {
			return 0
		}
		return int(r.Table)
	}
	return cmp.Or(cmp.Compare(foreign(a), foreign(b)), cmp.Compare(a.Family, b.Family), cmp.Compare(a.Metric, b.Metric))
}

// uplinkName is an interface's name in the letters that the policy's names
// may have.
func uplinkName(device string) string {
	name := strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '-'
	}, device)
	return strings.TrimLeft(name, "-_.")
}
