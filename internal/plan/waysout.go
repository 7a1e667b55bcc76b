// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"waymark/classes"
)

// WayOut is an interface by which default routes of the host's own lead.
type WayOut struct {
	Name     string // for an uplink
	Device   string // the interface
	Link     Link
	Routes   []Route      // the default routes, the preferred one first
	Gateways []netip.Addr // their next hops by Device
}

// WaysOut are the host's, the one that it prefers first, but those that no policy can
// name.
func WaysOut(facts Facts) (ways []WayOut) {
	routes := slices.DeleteFunc(slices.Clone(facts.Routes), func(r Route) bool {
		return !r.IsDefault() || r.Protocol == Protocol || r.Table == TableLocal
	})
	slices.SortStableFunc(routes, preferred)
	for _, r := range routes {
		for _, hop := range r.Hops {
			link, exists := facts.Links[hop.Interface]
			if !exists || !classes.IsInterface(hop.Interface) {
				continue
			}
			k := slices.IndexFunc(ways, func(w WayOut) bool { return w.Device == hop.Interface })
			if k < 0 {
				k, ways = len(ways), append(ways, WayOut{Name: uplinkName(ways, hop.Interface), Device: hop.Interface, Link: link})
			}
			w := &ways[k]
			if last := len(w.Routes) - 1; last < 0 || !w.Routes[last].Equal(r) {
				w.Routes = append(w.Routes, r)
			}
			if g := hop.Gateway; g.IsValid() && !slices.Contains(w.Gateways, g) {
				w.Gateways = append(w.Gateways, g)
			}
		}
	}
	return ways
}

// Unnameable are the interfaces by which default routes lead, and that no policy can
// name, each with the command that gives it another name.
func Unnameable(facts Facts) (all []string) {
	for _, r := range facts.Routes {
		for _, hop := range r.Hops {
			if r.IsDefault() && r.Protocol != Protocol && hop.Interface != "" && !classes.IsInterface(hop.Interface) {
				all = append(all, fmt.Sprintf("%[1]q has a default route, and no policy can name it: `ip link set dev %[1]q name NAME`", hop.Interface))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
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
// may have, with a number behind it if another has the same in these.
func uplinkName(ways []WayOut, device string) string {
	plain := strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '-'
	}, device)
	plain = cmp.Or(strings.TrimLeft(plain, "-_."), "uplink")
	name := plain
	for n := 2; slices.ContainsFunc(ways, func(w WayOut) bool { return w.Name == name }); n++ {
		name = fmt.Sprintf("%s-%d", plain, n)
	}
	return name
}

// gateways are the next hops in words.
func (w WayOut) gateways() (texts []string) {
	for _, g := range w.Gateways {
		texts = append(texts, g.String())
	}
	return texts
}
