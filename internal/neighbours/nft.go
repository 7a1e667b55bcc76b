// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"fmt"
	"slices"

	"waymark/internal/filters"
	"waymark/internal/plan"
	"waymark/internal/registry"
)

// eachNftUse calls do with what rules of nftables do with marks.
func (h Host) eachNftUse(do func(markUse)) {
	ruleset := h.ruleset()
	for _, r := range h.nftRules() {
		for _, x := range r.Expr {
			for _, u := range nftUses(x, elements(ruleset, r)) {
				u.rule = nftRule(r) + ": " + u.rule
				u.remove = nftRemoval(r)
				u.owner = registry.OwnerOfFilter(r.Table, r.Chain)
				u.comes = slices.ContainsFunc(ruleset.Chains, func(c filters.Chain) bool {
					return c.Hook == "prerouting" && c.Family == r.Family && c.Table == r.Table && c.Name == r.Chain
				})
				do(u)
			}
		}
	}
}

// nftRule says which rule of nftables one is, and nftRemoval the command that removes it.
func nftRule(r filters.Rule) string {
	return fmt.Sprintf("nft rule of table %s %s, chain %s, handle %d", r.Family, r.Table, r.Chain, r.Handle)
}

func nftRemoval(r filters.Rule) string {
	return fmt.Sprintf("nft delete rule %s %s %s handle %d", r.Family, r.Table, r.Chain, r.Handle)
}

// ruleset is nothing where what nft printed is none.
func (h Host) ruleset() filters.Ruleset {
	r, _ := filters.ParseNft(h.Nft)
	return r
}

// nftRules are those of nftables that iptables-save does not show too.
func (h Host) nftRules() (rules []filters.Rule) {
	shown := filters.ShownBy(h.Iptables)
	for _, r := range h.ruleset().Rules {
		if r.Table != plan.Nftables && !shown.Has(r.Family, r.Table, r.Chain) {
			rules = append(rules, r)
		}
	}
	return rules
}

// elements gives what stands for a set or a map its elements: those of the one
// that has a name ("@name") in the rule's table, or its own.
func elements(ruleset filters.Ruleset, r filters.Rule) func(any) []any {
	return func(x any) []any {
		if name, ok := x.(string); ok {
			for _, s := range ruleset.Sets {
				if "@"+s.Name == name && s.Table == r.Table && s.Family == r.Family {
					return s.Elem
				}
			}
		}
		m, _ := x.(map[string]any)
		own, _ := m["set"].([]any)
		return own
	}
}

// nftUses are what one statement does with marks; in gives sets their elements.
func nftUses(x map[string]any, in func(any) []any) (uses []markUse) {
	if m, ok := x["match"].(map[string]any); ok {
		return matchUses(m["left"], values(m["right"], in))
	}
	if m, ok := x["vmap"].(map[string]any); ok {
		return matchUses(m["key"], values(m["data"], in))
	}
	m, ok := x["mangle"].(map[string]any)
	if !ok {
		return nil
	}
	if isKey(m["key"], "ct") {
		changed, _ := changedBits(m["value"], "ct")
		return []markUse{{rule: fmt.Sprintf("sets the connection's mark, bits %#x", changed), kind: remembers, mark: Mark{0, changed}}}
	}
	if !isKey(m["key"], "meta") {
		return nil
	}
	changed, from := changedBits(m["value"], "meta")
	if from {
		return []markUse{{rule: fmt.Sprintf("sets the mark from the connection's, bits %#x", changed), kind: restores, mark: Mark{0, changed}}}
	}
	value := uint32(0)
	if v := values(m["value"], in); len(v) == 1 {
		value = v[0]
	}
	return []markUse{{rule: fmt.Sprintf("sets mark %#x/%#x", value, changed), kind: sets, mark: Mark{value, changed}}}
}

// matchUses are looks at the packet's mark, if that is what is looked at.
func matchUses(key any, values []uint32) (uses []markUse) {
	mask, isMark := maskedMark(key, "meta")
	if !isMark {
		return nil
	}
	for _, v := range values {
		uses = append(uses, markUse{rule: fmt.Sprintf("matches mark %#x/%#x", v, mask), kind: matches, mark: Mark{v, mask}})
	}
	return uses
}

// maskedMark is the mask under which an expression looks at a mark, the
// packet's ("meta") or the connection's ("ct").
func maskedMark(x any, of string) (mask uint32, ok bool) {
	if isKey(x, of) {
		return 1<<32 - 1, true
	}
	if m, is := x.(map[string]any); is {
		if pair, is := m["&"].([]any); is && len(pair) == 2 && isKey(pair[0], of) {
			if n, is := number(pair[1]); is {
				return n, true
			}
		}
	}
	return 0, false
}

// changedBits are those that a value that is put into a mark, the packet's
// ("meta") or the connection's ("ct"), changes, and whether they come from the
// connection's.
func changedBits(x any, of string) (bits uint32, fromConnection bool) {
	m, ok := x.(map[string]any)
	if !ok {
		return 1<<32 - 1, false
	}
	if of != "ct" && isKey(x, "ct") {
		return 1<<32 - 1, true
	}
	for _, op := range []string{"|", "^"} {
		if pair, ok := m[op].([]any); ok && len(pair) == 2 {
			kept, fromMark := maskedMark(pair[0], of)
			set, plain := number(pair[1])
			if fromMark && plain {
				return ^kept | set, false
			}
			_, from := changedBits(pair[1], of)
			if fromMark {
				return ^kept, from
			}
		}
	}
	if kept, ok := maskedMark(x, of); ok {
		return ^kept, false
	}
	if pair, ok := m["&"].([]any); ok && len(pair) == 2 {
		_, from := changedBits(pair[0], of)
		return 1<<32 - 1, from
	}
	return 1<<32 - 1, false
}

// isKey tells whether an expression is `meta mark` or `ct mark`.
func isKey(x any, of string) bool {
	m, ok := x.(map[string]any)
	if !ok {
		return false
	}
	key, ok := m[of].(map[string]any)
	return ok && key["key"] == "mark"
}

// values are the numbers of an expression: one, or those of a set, of a map
// its keys, of a range its first.
func values(x any, in func(any) []any) (all []uint32) {
	if n, ok := first(x); ok {
		return []uint32{n}
	}
	for _, element := range in(x) {
		if pair, ok := element.([]any); ok && len(pair) == 2 {
			element = pair[0]
		}
		if n, ok := first(element); ok {
			all = append(all, n)
		}
	}
	m, _ := x.(map[string]any)
	for _, op := range []string{"|", "^"} {
		if pair, ok := m[op].([]any); ok && len(pair) == 2 {
			return values(pair[1], in)
		}
	}
	return all
}

// first is a number, or the first of a range of them.
func first(x any) (uint32, bool) {
	m, _ := x.(map[string]any)
	if r, ok := m["range"].([]any); ok && len(r) == 2 {
		return number(r[0])
	}
	return number(x)
}

func number(x any) (uint32, bool) {
	f, ok := x.(float64)
	return uint32(f), ok && f >= 0 && f < 1<<32
}
