// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"

	"waymark/internal/match"
)

// Packet is what a plan is asked about.
type Packet struct {
	Family Family
	Dst    netip.Addr // zero: any destination that only a default route covers
	Src    netip.Addr // zero: not bound
	Mark   uint32

	Interface string // that it is bound to, as by the zone of a link-local address; "": none
	Forwarded bool   // it came in, and is not this host's own
}

// Way out of the rules for a packet: the first rule that leads somewhere,
// and where. Rule.Action is empty when none does.
type Verdict struct {
	Rule      Rule       `json:"rule"`
	Route     Route      `json:"route"`     // of Rule.Table, for Lookup
	Interface string     `json:"interface"` // zero for a rule that refuses
	Gateway   netip.Addr `json:"gateway"`   // zero: on the link
	Source    netip.Addr `json:"source"`    // the source address it gets, or has; zero: the kernel's choice
	Uplink    string     `json:"uplink"`    // name; "" for an interface that is no uplink
	Unsure    []Rule     `json:"unsure"`    // rules before it with selectors that cannot be judged from here
}

// Does is what becomes of the packet: Lookup, it leaves; or it is refused, by the
// rule or by the route that the rule finds. Empty: no rule leads anywhere.
func (v Verdict) Does() Action {
	if v.Route.Refuses != "" {
		return v.Route.Refuses
	}
	return v.Rule.Action
}

// Winner is the line of the plan that wins a flow; nil for none.
func (p *Plan) Winner(f match.Flow) *Line {
	lines := make([]match.Match, len(p.Lines))
	for i := range lines {
		lines[i] = p.Lines[i].Match
	}
	if i, ok := match.First(lines, f); ok {
		return &p.Lines[i]
	}
	return nil
}

// Resolve walks the rules as the plan wants them, with everybody else's
// among them, and finds the way out of a packet.
func (p *Plan) Resolve(facts Facts, q Packet) (v Verdict) {
	v.Unsure = []Rule{}
	for _, r := range p.allRules(facts, q.Family) {
		selects, sure := r.selects(q)
		if !sure {
			v.Unsure = append(v.Unsure, r)
		}
		if !selects || !sure {
			continue
		}
		if r.Action != Lookup {
			v.Rule = r
			return v
		}
		if route, ok := p.find(facts, r, q); ok {
			if v.Rule, v.Route = r, route; route.Refuses == "" {
				p.fillIn(&v, q)
			}
			return v
		}
	}
	return v
}

// allRules are the plan's rules among those of others.
func (p *Plan) allRules(facts Facts, family Family) (all []Rule) {
	for _, r := range facts.Rules {
		if r.Family == family && r.Protocol != Protocol {
			all = append(all, r)
		}
	}
	for _, r := range p.Rules {
		if r.Family == family {
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b Rule) int { return int(int64(a.Priority) - int64(b.Priority)) })
	return all
}

// find is the table's best live route for the packet: the longest prefix,
// then the lowest metric. One that refuses is not suppressed, and one that
// throws is none.
func (p *Plan) find(facts Facts, r Rule, q Packet) (best Route, ok bool) {
	routes := facts.Routes
	if r.Protocol == Protocol && r.Table != TableMain {
		routes = p.Routes
	}
	for _, c := range routes {
		c.Hops = q.within(p.live(c.Hops))
		if c.Family != q.Family || c.Table != r.Table || c.Down || len(c.Hops) == 0 && c.Refuses == "" {
			continue
		}
		if covers := c.IsDefault() || q.Dst.IsValid() && c.Dst.Contains(q.Dst); !covers {
			continue
		}
		if !ok || c.Dst.Bits() > best.Dst.Bits() || c.Dst.Bits() == best.Dst.Bits() && c.Metric < best.Metric {
			best, ok = c, true
		}
	}
	suppressed := r.Suppress && best.IsDefault() && best.Refuses == ""
	return best, ok && !suppressed && best.Refuses != Throw
}

// within are the hops by which the packet may leave.
func (q Packet) within(hops []NextHop) []NextHop {
	if q.Interface == "" {
		return hops
	}
	return slices.DeleteFunc(slices.Clone(hops), func(h NextHop) bool { return h.Interface != q.Interface })
}

// live are the hops that do not lead by an uplink that is down: the plan
// makes the kernel ignore those.
func (p *Plan) live(hops []NextHop) []NextHop {
	down := func(h NextHop) bool {
		return slices.ContainsFunc(p.Uplinks, func(u Uplink) bool { return u.Interface == h.Interface && !u.Up })
	}
	if !slices.ContainsFunc(hops, down) {
		return hops
	}
	return slices.DeleteFunc(slices.Clone(hops), down)
}

func (p *Plan) fillIn(v *Verdict, q Packet) {
	v.Interface, v.Gateway = v.Route.Hops[0].Interface, v.Route.Hops[0].Gateway
	v.Source = v.Route.Source
	for _, u := range p.Uplinks {
		if u.Interface == v.Interface {
			v.Uplink = u.Name
			if !v.Source.IsValid() {
				v.Source = u.Sources[q.Family].Addr()
			}
		}
	}
	if q.Src.IsValid() {
		v.Source = q.Src
	}
}
