// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"slices"
	"strings"

	"waymark/internal/filters"
	"waymark/internal/plan"
	"waymark/internal/registry"
)

// strictRule is a filter's rule that looks up the way back to whoever sent a packet,
// and wants it to lead by the interface that the packet came in by.
type strictRule struct {
	what, owner string
	remove      string // "": the rule lets through what another drops
	families    []plan.Family
}

// strictRules are those of nftables and of iptables.
func (h Host) strictRules() (rules []strictRule) {
	for _, r := range h.nftRules() {
		if !slices.ContainsFunc(r.Expr, asksBackBy) {
			continue
		}
		s := strictRule{what: nftRule(r) + " is a strict reverse path filter",
			owner: registry.OwnerOfFilter(r.Table, r.Chain), families: nftFamilies(r)}
		if slices.ContainsFunc(r.Expr, func(x map[string]any) bool { _, drops := x["drop"]; return drops }) {
			s.remove = nftRemoval(r)
		}
		rules = append(rules, s)
	}
	h.eachIptables(func(command, table, line string, words []string) {
		if !slices.Contains(words, "rpfilter") || slices.Contains(words, "--loose") {
			return
		}
		s := strictRule{what: iptablesRule(command, table, line) + " is a strict reverse path filter", owner: registry.OwnerOfFilter(words[1]), families: []plan.Family{plan.IPv4}}
		if strings.HasPrefix(command, "ip6") {
			s.families = []plan.Family{plan.IPv6}
		}
		if slices.Contains(words, "DROP") {
			s.remove = iptablesRemoval(command, table, words)
		}
		rules = append(rules, s)
	})
	return rules
}

// asksBackBy tells whether a statement is `fib saddr . iif` in a match.
func asksBackBy(x map[string]any) bool {
	match, _ := x["match"].(map[string]any)
	left, _ := match["left"].(map[string]any)
	fib, _ := left["fib"].(map[string]any)
	flags, _ := fib["flags"].([]any)
	return slices.Contains(flags, any("saddr")) && slices.Contains(flags, any("iif"))
}

// nftFamilies are those that a rule of nftables is for.
func nftFamilies(r filters.Rule) []plan.Family {
	of := map[string]plan.Family{"ip": plan.IPv4, "ipv4": plan.IPv4, "ip6": plan.IPv6, "ipv6": plan.IPv6}
	if f, one := of[r.Family]; one {
		return []plan.Family{f}
	}
	for _, x := range r.Expr {
		match, _ := x["match"].(map[string]any)
		left, _ := match["left"].(map[string]any)
		meta, _ := left["meta"].(map[string]any)
		right, _ := match["right"].(string)
		if f, one := of[right]; one && meta["key"] == "nfproto" && match["op"] == "==" {
			return []plan.Family{f}
		}
	}
	return plan.Families
}
