// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"slices"
)

// Covers says, in a sentence each, which rules of others take packets before
// rules of ours that look for the same: they stand higher in the ladder,
// select no less, and lead somewhere. A lookup leads somewhere if its table
// has a default route of the family. So does main for every rule of ours that asks
// it first, if it has two half default routes.
func (p *Plan) Covers(facts Facts) (covers []string) {
	for _, theirs := range p.Covering(facts) {
		ours := p.coveredBy(theirs)
		covers = append(covers, fmt.Sprintf("%s (by %s) takes what %s of ours would, from priority %d on: remove it, or begin before it with `rules: {base: N}`",
			theirs, Owner(theirs), count(len(ours), "rule", "rules"), ours[0].Priority))
	}
	for _, family := range Families {
		if half, is := HalfDefault(facts, family); is && p.AsksMain(family) {
			covers = append(covers, fmt.Sprintf("main has two half default routes, %s and another, by %s, and so answers before any table of ours: have the tunnel set a plain default route, or say `strict: true` in every class and uplink", half.Dst, half.Hops[0].Interface))
		}
	}
	return covers
}

// Covering are the rules of others that Covers speaks of.
func (p *Plan) Covering(facts Facts) (rules []Rule) {
	for _, theirs := range facts.Rules {
		if theirs.Protocol != Protocol && theirs.Protocol != kernel && leadsAll(facts, theirs) {
			if ours := p.coveredBy(theirs); ours != nil && !p.leadsAlike(facts, theirs, ours) {
				rules = append(rules, theirs)
			}
		}
	}
	return rules
}

// coveredBy are the rules whose packets one of others takes before them.
func (p *Plan) coveredBy(theirs Rule) (covered []Rule) {
	for _, ours := range p.Rules {
		if theirs.Priority <= ours.Priority && theirs.selectsAllOf(ours) {
			covered = append(covered, ours)
		}
	}
	return covered
}

// leadsAlike tells whether a rule of others sends all that it takes of our rules'
// where these would, by a route without another behind it: when that is gone,
// ours are asked.
func (p *Plan) leadsAlike(facts Facts, theirs Rule, ours []Rule) bool {
	var ways []Route
	for _, r := range facts.Routes {
		if r.Family == theirs.Family && r.Table == theirs.Table && r.IsDefault() {
			ways = append(ways, r)
		}
	}
	if theirs.Action != Lookup || len(ways) != 1 {
		return false
	}
	led := map[Rule]bool{} // by what they select
	for _, r := range ours {
		selects := Rule{From: r.From, OIF: r.OIF, Mark: r.Mark, Mask: r.Mask}
		first, leads := p.find(facts, r, Packet{Family: r.Family})
		switch {
		case r.Suppress || led[selects]:
		case r.Action != Lookup || leads && !sameHops(first, ways[0]):
			return false
		default:
			led[selects] = leads
		}
	}
	return !slices.Contains(slices.Collect(maps.Values(led)), false)
}

func sameHops(a, b Route) bool {
	return slices.EqualFunc(a.Hops, b.Hops, func(a, b NextHop) bool {
		return a.Gateway == b.Gateway && a.Interface == b.Interface && a.Weight == b.Weight
	})
}

// kernel is RTPROT_KERNEL, of the rules that every host has.
const kernel = 2

// leadsAll tells whether a rule leaves no packet that it selects to the rules
// behind it.
func leadsAll(facts Facts, r Rule) bool {
	switch r.Action {
	case Unreachable, Prohibit, Blackhole:
		return true
	case Lookup:
		if r.Suppress {
			return false
		}
		for _, route := range facts.Routes {
			if route.Family == r.Family && route.Table == r.Table && route.IsDefault() && !route.Down && route.Refuses != Throw {
				return true
			}
		}
	}
	return false
}
