// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"fmt"

	"waymark/internal/filters"
	"waymark/internal/plan"
)

// nftFindings are rules of nftables that look at marks or change them.
func nftFindings(h Host) (found []Finding) {
	for _, r := range h.nftRules() {
		for _, x := range r.Expr {
			for _, u := range nftUses(x) {
				u.rule = fmt.Sprintf("nft rule of table %s %s, chain %s, handle %d: %s", r.Family, r.Table, r.Chain, r.Handle, u.rule)
				u.remove = fmt.Sprintf("nft delete rule %s %s %s handle %d", r.Family, r.Table, r.Chain, r.Handle)
				found = append(found, h.finding(u))
			}
		}
	}
	return found
}

// nftRules are those of nftables that iptables-save does not show too.
func (h Host) nftRules() (rules []filters.Rule) {
	ruleset, err := filters.ParseNft(h.Nft)
	if err != nil {
		return nil
	}
	for _, r := range ruleset.Rules {
		if r.Table != plan.Nftables && (h.Iptables == nil || !filters.OfIptables(r.Family, r.Table)) {
			rules = append(rules, r)
		}
	}
	return rules
}

// nftUses are what one statement does with marks.
func nftUses(x map[string]any) (uses []markUse) {
	if m, ok := x["match"].(map[string]any); ok {
		mask, isMark := maskedMark(m["left"])
		if !isMark {
			return nil
		}
		for _, v := range values(m["right"]) {
			uses = append(uses, markUse{rule: fmt.Sprintf("matches mark %#x/%#x", v, mask), kind: matches, mark: Mark{v, mask}})
		}
		return uses
	}
	m, ok := x["mangle"].(map[string]any)
	if !ok || !isKey(m["key"], "meta") {
		return nil
	}
	changed, from := changedBits(m["value"])
	if from {
		return []markUse{{rule: fmt.Sprintf("sets the mark from the connection's, bits %#x", changed), kind: restores, mark: Mark{0, changed}}}
	}
	value := uint32(0)
	if v := values(m["value"]); len(v) == 1 {
		value = v[0]
	}
	return []markUse{{rule: fmt.Sprintf("sets mark %#x/%#x", value, changed), kind: sets, mark: Mark{value, changed}}}
}

// maskedMark is the mask under which an expression looks at the packet's mark.
func maskedMark(x any) (mask uint32, ok bool) {
	if isKey(x, "meta") {
		return 1<<32 - 1, true
	}
	if m, is := x.(map[string]any); is {
		if pair, is := m["&"].([]any); is && len(pair) == 2 && isKey(pair[0], "meta") {
			if n, is := number(pair[1]); is {
				return n, true
			}
		}
	}
	return 0, false
}

// changedBits are those that a value that is put into the mark changes, and
// whether they come from the connection's mark.
func changedBits(x any) (bits uint32, fromConnection bool) {
	m, ok := x.(map[string]any)
	if !ok {
		return 1<<32 - 1, false
	}
	if isKey(x, "ct") {
		return 1<<32 - 1, true
	}
	for _, op := range []string{"|", "^"} {
		if pair, ok := m[op].([]any); ok && len(pair) == 2 {
			kept, fromMark := maskedMark(pair[0])
			set, plain := number(pair[1])
			if fromMark && plain {
				return ^kept | set, false
			}
			_, from := changedBits(pair[1])
			if fromMark {
				return ^kept, from
			}
		}
	}
	if kept, ok := maskedMark(x); ok {
		return ^kept, false
	}
	if pair, ok := m["&"].([]any); ok && len(pair) == 2 {
		_, from := changedBits(pair[0])
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

// values are the numbers of an expression: one, or those of a set.
func values(x any) (all []uint32) {
	if n, ok := number(x); ok {
		return []uint32{n}
	}
	m, ok := x.(map[string]any)
	if !ok {
		return nil
	}
	set, _ := m["set"].([]any)
	for _, element := range set {
		if n, ok := number(element); ok {
			all = append(all, n)
		}
	}
	for _, op := range []string{"|", "^"} {
		if pair, ok := m[op].([]any); ok && len(pair) == 2 {
			return values(pair[1])
		}
	}
	return all
}

func number(x any) (uint32, bool) {
	f, ok := x.(float64)
	return uint32(f), ok && f >= 0 && f < 1<<32
}
