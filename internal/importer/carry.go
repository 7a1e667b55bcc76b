// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"waymark/classes"
	"waymark/internal/plan"
)

// entries are all rules as matches, those that count first in front.
func (c *carrier) entries() (all []entry) {
	for _, f := range plan.Families {
		rules := slices.DeleteFunc(slices.Clone(c.rules), func(r rule) bool { return r.Family != f })
		slices.SortStableFunc(rules, func(a, b rule) int { return int(a.Priority) - int(b.Priority) })
		turned := c.carried(rules)
		for k := 0; k < len(rules); k++ {
			run := k
			for run < len(rules) && byMark(rules[run].Rule) {
				run++
			}
			if run > k {
				all = append(all, c.carryMarks(turned[k:run], f)...)
				k = run - 1
				continue
			}
			all = append(all, c.carry(turned[k])...)
		}
	}
	c.leaveIdle()
	c.forgetForwarded()
	return merged(all)
}

// leaveIdle names what sets a mark that no rule looks for, in either family.
func (c *carrier) leaveIdle() {
	for _, s := range c.marks.steps {
		used := slices.ContainsFunc(c.marks.steps, func(o step) bool { return o.used && o.origin == s.origin && o.mark == s.mark })
		if !used && s.mark != 0 {
			c.leave(s.origin, fmt.Sprintf("no rule looks for its mark %#x: it steers nothing", s.mark))
		}
	}
}

// turned is a rule as what a policy can say of it.
type turned struct {
	rule
	match classes.Match // without the mark
	way   way
	err   error // why a policy cannot
	tail  bool  // it only says what happens where a rule before it ends
}

// byMark tells whether a rule takes what has a mark.
func byMark(r plan.Rule) bool { return r.Mask != 0 && !allBut(r) }

// carried turns the rules of one family.
func (c *carrier) carried(rules []rule) (all []turned) {
	for k, r := range rules {
		t := turned{rule: r}
		t.tail = !r.Suppress && slices.ContainsFunc(rules[:k], func(o rule) bool { return !o.Suppress && o.Action == plan.Lookup && sameTraffic(o.Rule, r.Rule) })
		if t.match, t.err = selected(r.Rule); t.err == nil {
			t.way, t.err = c.wayOfRule(rules, k)
		}
		all = append(all, t)
	}
	return all
}

// carry turns a rule that looks for no mark into entries.
func (c *carrier) carry(t turned) []entry {
	switch {
	case t.tail:
		return nil
	case t.err != nil:
		c.leave(t.origin, t.err.Error())
		return nil
	case c.ownSource(t.match, t.way):
		return nil
	}
	return []entry{{ofFamily(t.match, t.Family), t.way, t.origin}}
}

// wayOfRule is where a rule sends, and what later ones do with the same where
// its table has no way.
func (c *carrier) wayOfRule(rules []rule, k int) (way, error) {
	r := rules[k]
	if r.Suppress {
		return way{}, fmt.Errorf("what main knows by more than its default stays reachable with Waymark without a rule for it")
	}
	if r.Action != plan.Lookup {
		return way{}, fmt.Errorf("a class does not only refuse: give the traffic an uplink and `otherwise: %s`, or filter it", r.Action)
	}
	w, err := c.wayOf(r.Table, r.Family)
	for _, later := range rules[k+1:] {
		if err != nil || w.otherwise != "" || later.Suppress || !sameTraffic(r.Rule, later.Rule) {
			continue
		}
		if later.Action != plan.Lookup {
			w.otherwise = later.Action
			continue
		}
		var next way
		if next, err = c.wayOf(later.Table, r.Family); err == nil {
			w, err = w.then(next)
		}
	}
	if err == nil && w.route == "" {
		err = fmt.Errorf("table %s only refuses: filter the traffic, or give it an uplink and `otherwise`", plan.TableName(r.Table))
	}
	return w, err
}

// carryMarks turns rules that look for marks into what gets those marks.
func (c *carrier) carryMarks(rules []turned, f plan.Family) (all []entry) {
	idle := make([]bool, len(rules))
	for k, t := range rules {
		if idle[k] = t.err == nil; t.err != nil && !t.tail {
			c.leave(t.origin, t.err.Error())
		}
	}
	for k, s := range c.marks.steps {
		by := slices.IndexFunc(rules, func(t turned) bool { return !t.tail && s.mark != 0 && s.mark&t.Mask == t.Mark })
		passes := s.mark == 0
		if s.family != f || s.used || by < 0 && !passes {
			continue
		}
		c.marks.steps[k].used = true
		e := entry{match: s.match, origin: s.origin}
		var err error
		if passes {
			e.way, err = c.wayOf(plan.TableMain, f)
		} else {
			idle[by], e.way, err = false, rules[by].way, rules[by].err
			err = errors.Join(err, restrict(&e.match, rules[by].match))
		}
		if err != nil {
			c.leave(s.origin, err.Error())
			continue
		}
		e.match = ofFamily(e.match, f)
		all = append(all, e)
	}
	for k, t := range rules {
		if idle[k] && !t.tail {
			c.leave(t.origin, fmt.Sprintf("nothing that was read sets the mark %#x: whoever does (a VPN, `SO_MARK`, another filter) may go on, or becomes a class by its cgroup or user", t.Mark))
		}
	}
	return all
}

// sameTraffic tells whether two rules select the same.
func sameTraffic(a, b plan.Rule) bool {
	return a.Family == b.Family && a.From == b.From && a.OIF == b.OIF && a.Mark == b.Mark && a.Mask == b.Mask && a.Other == b.Other
}

// ofFamily says the family of a match that no address says it of.
func ofFamily(m classes.Match, f plan.Family) classes.Match {
	if len(m.Src)+len(m.Dst) == 0 {
		m.Dst = []netip.Prefix{f.Default()}
	}
	return m
}

// merged puts together what both families do alike, so that a match for both
// says neither.
func merged(all []entry) (out []entry) {
	for _, e := range all {
		k := slices.IndexFunc(out, func(o entry) bool {
			return o.way.route == e.way.route && o.way.otherwise == e.way.otherwise && bothFamilies(o.match, e.match)
		})
		if k < 0 {
			out = append(out, e)
			continue
		}
		out[k].match.Dst = nil
		if out[k].origin != e.origin {
			out[k].origin += "; " + e.origin
		}
	}
	return out
}

// bothFamilies tells whether two matches take the same, one of IPv4 and one of
// IPv6.
func bothFamilies(a, b classes.Match) bool {
	ofAll := func(m classes.Match, f plan.Family) bool { return len(m.Dst) == 1 && m.Dst[0] == f.Default() }
	if !ofAll(a, plan.IPv4) || !ofAll(b, plan.IPv6) {
		return false
	}
	a.Dst, b.Dst = nil, nil
	text := a.String()
	return text == b.String() && text != (classes.Match{}).String()
}
