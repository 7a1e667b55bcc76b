// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"waymark/classes"
)

// lastPriority is the highest a rule of ours may have: main's is 32766.
const lastPriority = 32765

// step is the distance between two selectors of the ladder: room for the
// longest route, and mostly for an administrator's own rules.
const step = 10

// selector is what the rules of one rung have in common: they are tried for
// the same packets.
type selector struct {
	oif        string
	from       netip.Prefix
	mark, mask uint32
}

// rung is one selector with everything that is tried for it, in order.
type rung struct {
	selector
	strict    bool     // leave out main's own routes
	tables    []string // names, in Numbers.Tables
	otherwise classes.Otherwise
	follows   bool // in the gap right behind the rung before
	vacant    bool // its numbers are kept for an address that may come, and there is nothing now
	why       string
}

// ladder writes the rules, for each family from the policy's base.
func (m *maker) ladder() error {
	for _, family := range Families {
		next, behind := uint32(m.policy.Rules.Base), uint32(0)
		for _, r := range m.rungs(family) {
			priority := next
			if r.follows {
				priority = behind
			} else {
				next += step
			}
			if r.vacant {
				continue
			}
			rules := m.rules(family, r, priority)
			behind = priority + uint32(len(rules))
			m.plan.Rules = append(m.plan.Rules, rules...)
			if last := rules[len(rules)-1].Priority; last > lastPriority {
				return fmt.Errorf("write the rules: priority %d is past main's: lower `rules: {base: %d}`, or join the matches on `src` into prefixes", last, m.policy.Rules.Base)
			}
		}
	}
	return nil
}

func (m *maker) rungs(family Family) (rungs []rung) {
	rungs = append(rungs, m.probeRungs()...)
	rungs = append(rungs, m.sourceRungs(family)...)
	rungs = append(rungs, m.uplinkRungs(family)...)
	rungs = append(rungs, m.answerRungs(family)...)
	return append(rungs, m.blockRungs()...)
}

// probeRungs send what is bound to the interface of an uplink that is probed
// by it, whether or not it is withdrawn: its probes, and what an application
// bound there. They can take no other way.
func (m *maker) probeRungs() (rungs []rung) {
	for _, u := range m.plan.Uplinks {
		if u.Probes != 0 {
			rungs = append(rungs, rung{selector: selector{oif: u.Interface}, strict: u.Strict, tables: []string{probeTable(u.Name)},
				why: fmt.Sprintf("probes of uplink %s, and what is bound to %s, whatever they find", u.Name, u.Interface)})
		}
	}
	return rungs
}

// sourceRungs are the matches on src alone: every packet from there takes
// the class's route, whether a hook saw its socket or not. Where the source
// is an uplink's own address, the class's own mark is named as well, or the
// uplink's rung below would catch it.
func (m *maker) sourceRungs(family Family) (rungs []rung) {
	for i := range m.plan.Lines {
		line := &m.plan.Lines[i]
		if line.Class == NoClass || !line.onlySource() {
			continue
		}
		class := m.plan.Classes[line.Class]
		for _, p := range line.Match.Src {
			if FamilyOf(p.Addr()) != family {
				continue
			}
			r := rung{strict: class.Route.Strict, tables: class.Route.tables(), otherwise: class.Route.Otherwise,
				selector: selector{from: selected(p), mask: uint32(m.plan.Mask)},
				why:      fmt.Sprintf("class %s: %s, whoever sends it", class.Name, line.Text)}
			rungs = append(rungs, r)
			if m.ownsAddressIn(p) {
				r.mark, r.why = class.Mark, fmt.Sprintf("class %s: the same for its marked sockets, or an uplink with an address in %s would take them", class.Name, p)
				rungs = append(rungs, r)
			}
		}
	}
	return rungs
}

// selected is the prefix as a rule names it: every source goes unnamed.
func selected(p netip.Prefix) netip.Prefix {
	if p.Bits() == 0 {
		return netip.Prefix{}
	}
	return p
}

func (l *Line) onlySource() bool {
	m := &l.Match
	return m.Src != nil && m.Cgroup == nil && m.UID == nil && m.Proto == nil && m.Dst == nil &&
		m.Sport == nil && m.Dport == nil && m.IIF == nil
}

func (m *maker) ownsAddressIn(p netip.Prefix) bool {
	for _, u := range m.plan.Uplinks {
		for _, a := range u.Addresses {
			if p.Overlaps(a.Masked()) {
				return true
			}
		}
	}
	return false
}

// uplinkRungs send what comes from an uplink's address by that uplink:
// replies, bound sockets, and flows that were open before their class moved.
// An address that several uplinks have (two modems of one make) says nothing.
// Behind them, in the gap, is what is bound to the uplink's interface: the
// application's choice wins over a class that refuses all other ways. An uplink
// has a place without an address, too: IPv6 addresses go with their link, and
// the rules behind are not to be written anew for that.
func (m *maker) uplinkRungs(family Family) (rungs []rung) {
	for _, u := range m.plan.Uplinks {
		before, seen := len(rungs), map[netip.Prefix]bool{}
		for _, a := range u.Addresses {
			from := m.symmetric(u, a)
			if FamilyOf(a.Addr()) != family || seen[from] || len(m.holders(a.Addr())) > 1 {
				continue
			}
			seen[from] = true
			rungs = append(rungs, rung{selector: selector{from: from}, strict: u.Strict, tables: []string{u.Name},
				why: fmt.Sprintf("replies and bound sockets of uplink %s leave by it", u.Name)})
		}
		if u.Probes == 0 && m.refuses() && slices.ContainsFunc(u.Addresses, func(a netip.Prefix) bool { return FamilyOf(a.Addr()) == family }) {
			rungs = append(rungs, rung{selector: selector{oif: u.Interface}, strict: u.Strict, tables: []string{u.Name}, follows: len(seen) > 0,
				why: fmt.Sprintf("what is bound to %s leaves by it, of a class that refuses all other ways, too", u.Interface)})
		}
		if len(rungs) == before {
			rungs = append(rungs, rung{vacant: true})
		}
	}
	return rungs
}

// refuses tells whether a class goes by no other way than its route's.
func (m *maker) refuses() bool {
	return slices.ContainsFunc(m.plan.Blocks, func(b Block) bool { return b.Way.Otherwise != classes.OtherwiseMain })
}

// symmetric is the source that stands for an uplink's address: the address
// itself, or its /64, in which privacy addresses come and go, if no other
// uplink lives there too.
func (m *maker) symmetric(u Uplink, a netip.Prefix) netip.Prefix {
	host := netip.PrefixFrom(a.Addr(), a.Addr().BitLen())
	if a.Addr().Is4() || a.Bits() != 64 {
		return host
	}
	for _, other := range m.plan.Uplinks {
		if other.Name != u.Name && slices.ContainsFunc(other.Addresses, a.Overlaps) {
			return host
		}
	}
	return a.Masked()
}

// blockRungs send marked sockets by their class's route.
func (m *maker) blockRungs() (rungs []rung) {
	for _, b := range m.plan.Blocks {
		mark, mask := m.plan.Mask.block(b)
		rungs = append(rungs, rung{selector: selector{mark: mark, mask: mask}, strict: b.Way.Strict,
			tables: b.Way.tables(), otherwise: b.Way.Otherwise,
			why: fmt.Sprintf("route %s: %s", b.Way, m.classesIn(b))})
	}
	return rungs
}

func (m *maker) classesIn(b Block) string {
	var names []string
	for _, c := range m.plan.Classes {
		if b.contains(c.Number) {
			names = append(names, c.Name)
		}
	}
	switch {
	case len(names) == 0:
		return "sockets that still carry a number of it"
	case len(names) > 4:
		return fmt.Sprintf("classes %s and %d more", strings.Join(names[:3], ", "), len(names)-3)
	case len(names) > 1:
		return "classes " + strings.Join(names, ", ")
	}
	return "class " + names[0]
}

// rules writes one rung out.
func (m *maker) rules(family Family, r rung, priority uint32) (rules []Rule) {
	add := func(action Action, table uint32, why string) *Rule {
		rules = append(rules, Rule{Family: family, Priority: priority + uint32(len(rules)), OIF: r.oif, From: r.from,
			Mark: r.mark, Mask: r.mask, Action: action, Table: table, Protocol: Protocol, Rung: r.why, Why: why})
		return &rules[len(rules)-1]
	}
	if !r.strict {
		add(Lookup, TableMain, "what main knows by more than its default").Suppress = true
	}
	for i, name := range r.tables {
		how := "uplink "
		if i > 0 {
			how = "and if that has no route, uplink "
		}
		if r.oif == "" && m.plan.UplinkNamed(name) == nil {
			how = "balance "
		}
		add(Lookup, m.plan.Numbers.Tables[name], how+name)
	}
	if r.otherwise != "" && r.otherwise != classes.OtherwiseMain {
		add(Action(r.otherwise), 0, "and never by another way")
	}
	return rules
}
