// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"waymark/classes"
	"waymark/internal/plan"
)

// uplink is a way out that is to have a name in the policy.
type uplink struct {
	plan.WayOut
	gateway []netip.Addr // to be written, one of each family; nil: as main's routes say
}

// way is what a class does: its route, and what happens where that ends.
type way struct {
	route     string // as the policy writes it; "" says that the traffic is refused only
	name      string // of its first uplink
	otherwise plan.Action
}

// uplinks names the ways out. What only a table of others knows of a family, the
// policy has to know when that table is gone: with the other family's, if main knows
// that, too, for a policy finds all next hops in main or none.
func (c *carrier) uplinks(ways []plan.WayOut) {
	for _, w := range ways {
		u := uplink{WayOut: w}
		first, inMain := firstOfEach(w.Gateways), map[plan.Family]bool{}
		for _, r := range w.Routes {
			inMain[r.Family] = inMain[r.Family] || r.Table == plan.TableMain
		}
		for _, g := range first {
			if !inMain[plan.FamilyOf(g)] && len(first) == len(inMain) {
				u.gateway = first
			}
		}
		c.ways = append(c.ways, u)
	}
}

// firstOfEach are the first addresses of each family.
func firstOfEach(all []netip.Addr) (first []netip.Addr) {
	for _, a := range all {
		if !slices.ContainsFunc(first, func(o netip.Addr) bool { return o.Is4() == a.Is4() }) {
			first = append(first, a)
		}
	}
	return first
}

// leaveSpecific names the destinations that a table of others knows and main does
// not: a class finds only main's.
func (c *carrier) leaveSpecific() {
	asked := map[uint32]bool{}
	for _, r := range c.rules {
		asked[r.Table] = r.Action == plan.Lookup
	}
	for _, r := range c.facts.Routes {
		inMain := slices.ContainsFunc(c.facts.Routes, func(o plan.Route) bool { return o.Table == plan.TableMain && o.Dst == r.Dst })
		own := slices.ContainsFunc(c.ways, func(u uplink) bool {
			return slices.ContainsFunc(u.Link.Addresses, func(a netip.Prefix) bool { return a.Masked() == r.Dst })
		})
		if r.Table == plan.TableMain && r.Protocol != plan.Protocol && isHalf(r.Dst) {
			c.leave("ip "+r.Family.Option()+" route: "+r.Args(), "half a default route, as OpenVPN's redirect-gateway def1 sets: main knows it better than any class's default, and answers first: have the tunnel set a plain default route, or say `strict: true` in every class and uplink")
		}
		if asked[r.Table] && !r.IsDefault() && !inMain && !own && r.Protocol != plan.Protocol {
			c.leave("ip "+r.Family.Option()+" route: "+r.Args(), "main has no route there, and a class finds only main's beside its uplink's default: `ip route add` it to main, or make a class with this `dst`")
		}
	}
}

// isHalf tells whether a route is for half of all addresses.
func isHalf(p netip.Prefix) bool { return p.Bits() == 1 }

// wayOf is what a table does for what it is asked for.
func (c *carrier) wayOf(table uint32, family plan.Family) (w way, err error) {
	var defaults []plan.Route
	for _, r := range c.facts.Routes {
		if r.Table == table && r.Family == family && r.Protocol != plan.Protocol && r.IsDefault() {
			defaults = append(defaults, r)
		}
	}
	slices.SortStableFunc(defaults, func(a, b plan.Route) int { return int(a.Metric) - int(b.Metric) })
	var hops []string
	for _, r := range defaults {
		if r.Refuses == plan.Throw {
			break // the next rule is asked
		}
		switch {
		case r.Refuses != "" && w.otherwise == "":
			w.otherwise = r.Refuses
		case r.Refuses != "":
		case len(r.Hops) > 1 && len(hops) > 0:
			return w, errors.New("a balance behind another route: a class has a list or a balance")
		case len(r.Hops) > 1:
			return c.balance(r), nil
		case w.otherwise == "":
			hops = appendNew(hops, c.named(r.Hops[0].Interface))
		}
	}
	if len(hops) == 0 && w.otherwise == "" {
		return w, fmt.Errorf("table %s has no default route: give the destinations that it knows to main, where Waymark finds them, or to a class by `dst`", plan.TableName(table))
	}
	if len(hops) > 0 {
		w.name, w.route = hops[0], "["+strings.Join(hops, ", ")+"]"
	}
	return w, nil
}

// then is a way with another behind it.
func (w way) then(next way) (way, error) {
	first, isList := strings.CutSuffix(w.route, "]")
	last, nextIsList := strings.CutPrefix(next.route, "[")
	switch {
	case next.route == "", w.route == next.route:
	case w.route == "":
		w.name, w.route = next.name, next.route
	case isList && nextIsList:
		w.route = first + ", " + last
	default:
		return w, errors.New("a balance and another route in a row: a class has a list or a balance")
	}
	w.otherwise = next.otherwise
	return w, nil
}

func (c *carrier) balance(r plan.Route) way {
	var shares []string
	for _, h := range r.Hops {
		shares = append(shares, c.named(h.Interface)+": "+strconv.Itoa(max(h.Weight, 1)))
	}
	return way{name: "balance", route: "{" + strings.Join(shares, ", ") + "}"}
}

// named is the name of the uplink by an interface.
func (c *carrier) named(device string) string {
	for _, w := range c.ways {
		if w.Device == device {
			return w.Name
		}
	}
	return device
}

func appendNew(all []string, one string) []string {
	if slices.Contains(all, one) {
		return all
	}
	return append(all, one)
}

// ownSource tells whether a rule by source only does what Waymark does for
// every uplink: what has its address leaves by it.
func (c *carrier) ownSource(m classes.Match, w way) bool {
	if len(m.Src) != 1 || m.String() != (classes.Match{Src: m.Src}).String() || w.otherwise != "" {
		return false
	}
	for _, u := range c.ways {
		for _, a := range u.Link.Addresses {
			if w.route == "["+u.Name+"]" && (m.Src[0] == a.Masked() || m.Src[0].IsSingleIP() && m.Src[0].Addr() == a.Addr()) {
				return true
			}
		}
	}
	return false
}
