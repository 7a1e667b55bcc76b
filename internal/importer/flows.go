// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"waymark/classes"
	"waymark/internal/plan"
)

// entriesOf are the flows of one family as a run of its rules takes them: those
// that a rule looks for go where it sends, and what others keep from it goes by
// main. later are the rules behind.
func (c *carrier) entriesOf(f plan.Family, rules []turned, later []turned) (all []entry) {
	for _, t := range c.marks {
		if t.family != f {
			continue
		}
		last := len(t.flows) - 1
		for last >= 0 && taker(rules, t.flows[last].mark) < 0 {
			last--
		}
		for k, flow := range t.flows[:last+1] {
			by := taker(rules, flow.mark)
			if by >= 0 {
				all = append(all, c.entryOf(t, flow, rules[by])...)
				continue
			}
			all = append(all, c.spared(t, k, rules, later)...)
		}
	}
	return all
}

// taker is the first of some rules that looks for a mark.
func taker(rules []turned, mark uint32) int {
	for k, t := range rules {
		if mark != 0 && byMark(t.Rule) && !t.tail && mark&t.Mask == t.Mark {
			return k
		}
	}
	return -1
}

// entryOf is a flow that goes where a rule sends it.
func (c *carrier) entryOf(t *told, f flow, r turned) []entry {
	if r.err != nil {
		c.leave(f.origin, r.err.Error())
		return nil
	}
	m, ok, err := inCommon(f.match, r.match)
	if err == nil && t.hook == "prerouting" && len(m.IIF) == 0 {
		err = errForwarded
	}
	if err != nil {
		c.leave(f.origin, err.Error())
	}
	if err != nil || !ok {
		return nil
	}
	c.used[f.origin] = true
	return []entry{{ofFamily(m, t.family), r.way, f.origin, f.part}}
}

// spared is what a flow that no rule of a run looks for keeps from those behind
// it. With more rules behind, no more than that is said.
func (c *carrier) spared(t *told, k int, rules, later []turned) (all []entry) {
	f := t.flows[k]
	var kept []classes.Match
	for _, o := range t.flows[k+1:] {
		if taker(rules, o.mark) < 0 || t.hook == "prerouting" && len(o.match.IIF) == 0 {
			continue
		}
		if m, ok, err := inCommon(f.match, o.match); err != nil {
			c.leave(f.origin, err.Error())
		} else if ok {
			kept = append(kept, m)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	w, err := c.wayOf(plan.TableMain, t.family)
	between := later
	if by := taker(later, f.mark); by >= 0 {
		w, err, between = later[by].way, later[by].err, later[:by]
	}
	if err != nil {
		c.leave(f.origin, err.Error())
		return nil
	}
	c.used[f.origin] = true
	if len(later) == 0 && t.hook == "output" {
		return []entry{{ofFamily(f.match, t.family), w, f.origin, true}}
	}
	for _, m := range kept {
		all = append(all, askedFirst(between, m, t.family)...)
		all = append(all, entry{ofFamily(m, t.family), w, f.origin, true})
	}
	return all
}

// askedFirst is what rules that look for no mark take of a match.
func askedFirst(rules []turned, m classes.Match, f plan.Family) (all []entry) {
	for _, r := range rules {
		if byMark(r.Rule) || r.tail || r.err != nil {
			continue
		}
		if both, ok, err := inCommon(m, r.match); err == nil && ok {
			all = append(all, entry{ofFamily(both, f), r.way, r.origin, true})
		}
	}
	return all
}
