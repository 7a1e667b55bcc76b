// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"slices"

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
	n := nftables{carrier: c, ruleset: all, rules: map[nftChain][]*filters.Rule{}}
	for k, r := range all.Rules {
		chain := nftChain{r.Family, r.Table, r.Chain}
		n.rules[chain] = append(n.rules[chain], &all.Rules[k])
	}
	bases := slices.DeleteFunc(all.Chains, func(b filters.Chain) bool { return !c.comesThrough(b) })
	slices.SortStableFunc(bases, func(a, b filters.Chain) int { return a.Prio - b.Prio })
	w := walk{marking: n.marking()}
	for _, f := range plan.Families {
		for _, b := range bases {
			if !shows(b.Family, f) {
				continue
			}
			steps := n.walk(&w, f, nftChain{b.Family, b.Table, b.Name}, root)
			switch {
			case b.Hook == "output" && b.Type != "route":
				c.leaveMarks(steps, errNotAgain)
			case b.Hook == "output" || b.Hook == "prerouting":
				c.chain(f, b.Hook, steps)
			default:
				c.leaveMarks(steps, errBehind)
			}
		}
	}
	return nil
}

// comesThrough tells whether packets come through a chain that may mark them,
// and that iptables did not show already.
func (c *carrier) comesThrough(b filters.Chain) bool {
	return b.Hook != "" && b.Hook != "ingress" && b.Hook != "egress" && b.Table != plan.Nftables && b.Type != "nat" && !c.shown.Has(b.Family, b.Table, b.Name)
}

// nftables is a ruleset that is carried over.
type nftables struct {
	*carrier
	ruleset filters.Ruleset
	rules   map[nftChain][]*filters.Rule
}

// shows tells whether a family of nftables sees packets of ours.
func shows(nft string, f plan.Family) bool {
	return nft == "inet" || nft == map[plan.Family]string{plan.IPv4: "ip", plan.IPv6: "ip6"}[f]
}

// nftChain is a chain by its name.
type nftChain struct{ family, table, name string }

// marking are the chains that set marks, or jump to one that does.
func (n *nftables) marking() map[string]bool {
	set, jumps := map[string]bool{}, map[string][]string{}
	for chain, rules := range n.rules {
		for _, statement := range n.statements(rules) {
			if m, ok := statement["mangle"].(map[string]any); ok && keyName(m["key"]) == "meta mark" {
				set[chain.String()] = true
			}
			if target, ok := jumped(statement); ok {
				jumps[chain.String()] = append(jumps[chain.String()], nftChain{chain.family, chain.table, target}.String())
			}
		}
	}
	return leads(set, jumps)
}

func (c nftChain) String() string { return c.family + " " + c.table + " " + c.name }

// walk turns a chain into steps, those of the chains that it jumps to within;
// outer is what the way there selects.
func (n *nftables) walk(w *walk, f plan.Family, chain nftChain, outer step) (steps []step) {
	for _, r := range n.rules[chain] {
		for _, statements := range n.branches(r) {
			w.rules++
			t := nftTurned{nftables: n, rule: r, family: f}
			if t.read(statements); !t.matters() {
				continue
			}
			switch t.verdict {
			case "accept":
				t.leaves = root.leaves
			case "return":
				t.leaves = outer.leaves
			}
			for _, s := range t.steps() {
				steps = append(steps, s.behind(outer))
			}
			if t.jump != "" {
				target := nftChain{chain.family, chain.table, t.jump}
				t.clears, t.flips = 0, 0
				steps = append(steps, w.jump(t.step, outer, target.String(), t.verdict == "goto", func(inner step) []step {
					return n.walk(w, f, target, inner)
				})...)
			}
		}
	}
	return steps
}

// named is the set or map that goes by a name ("@name").
func (n *nftables) named(r *filters.Rule, name string) filters.Set {
	for _, s := range n.ruleset.Sets {
		if s.Family == r.Family && s.Table == r.Table && "@"+s.Name == name {
			return s
		}
	}
	return filters.Set{}
}
