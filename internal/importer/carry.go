// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"cmp"
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
		slices.SortStableFunc(rules, func(a, b rule) int { return cmp.Compare(a.Priority, b.Priority) })
		rules = c.unskipped(c.reached(rules, f))
		turned := c.carried(rules)
		for k := 0; k < len(rules); k++ {
			run := k
			for run < len(rules) && byMark(rules[run].Rule) {
				run++
			}
			if run > k {
				all = append(all, c.carryMarks(turned[k:run], turned[run:], f)...)
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

// reached are the rules of a family, without those behind main's where main has
// a way for everything.
func (c *carrier) reached(rules []rule, f plan.Family) []rule {
	if _, err := c.wayOf(plan.TableMain, f); err != nil || c.mainAt[f] == 0 {
		return rules
	}
	return slices.DeleteFunc(rules, func(r rule) bool {
		behind := r.Priority > c.mainAt[f]
		if behind {
			c.leave(r.origin, fmt.Sprintf("main has a default route and is asked before, by the rule %d: it steers nothing", c.mainAt[f]))
		}
		return behind
	})
}

// leaveIdle names what sets a mark that no rule looks for, in either family, and
// what a later rule overrules.
func (c *carrier) leaveIdle() {
	for _, t := range c.marks {
		for _, f := range t.flows {
			if f.mark != 0 && !f.part && !c.used[f.origin] && !slices.ContainsFunc(c.rules, func(r rule) bool { return byMark(r.Rule) && f.mark&r.Mask == r.Mark }) {
				c.leave(f.origin, fmt.Sprintf("no rule looks for its mark %#x: it steers nothing", f.mark))
			}
		}
		for _, f := range t.overruled {
			if f.mark != 0 && !f.part && !c.used[f.origin] {
				c.leave(f.origin, "a later rule overrules it, whatever it takes")
			}
		}
	}
}

// forgetForwarded takes back what was said of steps that stand for what the host
// sends itself as well: the match that is made of those takes both.
func (c *carrier) forgetForwarded() {
	c.left = slices.DeleteFunc(c.left, func(l Left) bool { return l.Why == errForwarded.Error() && c.used[l.What] })
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
	return []entry{{ofFamily(t.match, t.Family), t.way, t.origin, false}}
}

// wayOfRule is where a rule sends, and what later ones do with the same where
// its table has no way.
func (c *carrier) wayOfRule(rules []rule, k int) (way, error) {
	r := rules[k]
	if r.Suppress {
		return way{}, fmt.Errorf("what main knows by more than its default stays reachable with Waymark without a rule for it")
	}
	if _, is := target(r.Rule); is {
		return c.wayOfGoto(rules, k)
	}
	if r.Action != plan.Lookup && !refuses(r.Action) {
		return way{}, fmt.Errorf("a class does not `%s`: write what the rules do together, by the order of the classes", r.Action)
	}
	if r.Action != plan.Lookup {
		return way{}, fmt.Errorf("a class does not only refuse: give the traffic an uplink and `otherwise: %s`, or filter it", r.Action)
	}
	w, err := c.wayOf(r.Table, r.Family)
	for n := k + 1; n < len(rules) && err == nil && w.otherwise == ""; n++ {
		later := rules[n]
		if later.Suppress || !sameTraffic(r.Rule, later.Rule) {
			continue
		}
		var next way
		switch _, goes := target(later.Rule); {
		case goes:
			if next, err = c.wayOfGoto(rules, n); err != nil {
				c.leave(later.origin, err.Error())
				return w, nil
			}
			n = len(rules)
		case refuses(later.Action):
			next.otherwise = later.Action
		case later.Action == plan.Lookup:
			next, err = c.wayOf(later.Table, r.Family)
		default:
			continue
		}
		if err == nil {
			w, err = w.then(next)
		}
	}
	if err == nil && w.route == "" {
		err = fmt.Errorf("table %s only refuses: filter the traffic, or give it an uplink and `otherwise`", plan.TableName(r.Table))
	}
	return w, err
}

// refuses tells whether an action is one of those that a class may end by.
func refuses(a plan.Action) bool {
	return a == plan.Unreachable || a == plan.Prohibit || a == plan.Blackhole
}

// carryMarks turns rules that look for marks into what gets those marks. later
// are the rules behind them.
func (c *carrier) carryMarks(rules, later []turned, f plan.Family) []entry {
	all := c.entriesOf(f, rules, later)
	for _, t := range rules {
		switch {
		case t.tail:
		case t.err != nil:
			c.leave(t.origin, t.err.Error())
		case !c.marked(t):
			c.leave(t.origin, fmt.Sprintf("nothing that was read sets the mark %#x: whoever does (a VPN, `SO_MARK`, another filter) may go on, or becomes a class by its cgroup or user", t.Mark))
		}
	}
	return all
}

// marked tells whether anything has the mark that a rule looks for.
func (c *carrier) marked(r turned) bool {
	return slices.ContainsFunc(c.marks, func(t *told) bool {
		return t.family == r.Family && slices.ContainsFunc(t.flows, func(f flow) bool { return f.mark != 0 && f.mark&r.Mask == r.Mark })
	})
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
