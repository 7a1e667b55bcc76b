// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"errors"
	"slices"

	"waymark/classes"
	"waymark/internal/filters"
	"waymark/internal/plan"
)

// addNft takes the mark rules of nftables. Those of iptables in nftables are
// taken as iptables shows them.
func (c *carrier) addNft(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	all, err := filters.ParseNft(text)
	if err != nil {
		return err
	}
	n := nftables{carrier: c, ruleset: all}
	bases := slices.DeleteFunc(all.Chains, func(b filters.Chain) bool { return !c.comesThrough(b) })
	slices.SortStableFunc(bases, func(a, b filters.Chain) int { return a.Prio - b.Prio })
	for _, hook := range []string{"prerouting", "output"} {
		for _, f := range plan.Families {
			var steps []step
			for _, b := range bases {
				if b.Hook == hook {
					steps = append(steps, n.walk(f, b.Family, b.Table, b.Name, hook, classes.Match{}, 0)...)
				}
			}
			if slices.ContainsFunc(steps, func(s step) bool { return s.does == sets }) {
				c.chain(hook, steps)
			}
		}
	}
	return nil
}

// comesThrough tells whether packets come through a chain that may mark them,
// and that iptables did not show already.
func (c *carrier) comesThrough(b filters.Chain) bool {
	shown := c.iptables && filters.OfIptables(b.Family, b.Table)
	return (b.Hook == "output" || b.Hook == "prerouting") && b.Table != plan.Nftables && b.Type != "nat" && !shown
}

// nftables is a ruleset that is carried over.
type nftables struct {
	*carrier
	ruleset filters.Ruleset
}

// shows tells whether a family of nftables sees packets of ours.
func shows(nft string, f plan.Family) bool {
	return nft == "inet" || nft == map[plan.Family]string{plan.IPv4: "ip", plan.IPv6: "ip6"}[f]
}

// walk turns a chain into steps, those of the chains that it jumps to within.
func (n *nftables) walk(f plan.Family, family, table, chain, hook string, outer classes.Match, depth int) (steps []step) {
	if !shows(family, f) {
		return nil
	}
	for k := range n.ruleset.Rules {
		r := &n.ruleset.Rules[k]
		if r.Family != family || r.Table != table || r.Chain != chain {
			continue
		}
		t := nftTurned{nftables: n, rule: r, family: f, match: outer}
		err := t.read()
		switch {
		case err == nil && t.jump != "" && depth < mostJumps:
			steps = append(steps, n.walk(f, family, table, t.jump, hook, t.match, depth+1)...)
		case err == nil && t.does == stops && t.returns && depth > 0:
			err = errors.New("return inside a chain of one's own: write its order as that of the classes")
		case err == nil:
			for _, s := range t.steps() {
				if hook == "prerouting" && len(s.match.IIF) == 0 && !(s.does == stops && s.marked) {
					err = errForwarded
					break
				}
				steps = append(steps, s)
			}
		}
		if err != nil && t.aboutMarks && !errors.Is(err, errOther) {
			n.leave(t.origin(), err.Error())
		}
	}
	return steps
}

// named are the elements of a set or map that goes by a name.
func (n *nftables) named(r *filters.Rule, name string) []any {
	for _, s := range n.ruleset.Sets {
		if s.Family == r.Family && s.Table == r.Table && s.Name == name {
			return s.Elem
		}
	}
	return nil
}
