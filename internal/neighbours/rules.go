// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"waymark/internal/plan"
	"waymark/internal/registry"
)

// kernelFindings say what the kernel lacks.
func kernelFindings(h Host) (found []Finding) {
	if h.Lacks != nil {
		found = append(found, Finding{Serious, h.Lacks.Error(), "", "no policy can be applied here", "boot another kernel"})
	}
	for _, f := range plan.Families {
		if h.Facts.Silent[f] {
			found = append(found, Finding{Note, fmt.Sprintf("this kernel's bpf_fib_lookup does not tell the way of a class, %s", f), "",
				"packets on a wrong way are counted by cause, and not sent by the right one", "Linux 6.10 does"})
		}
	}
	return found
}

// conflictFindings are what keeps the policy from being applied, and rules
// that take its packets before its own.
func conflictFindings(h Host) (found []Finding) {
	var conflicts plan.Conflicts
	errors.As(h.Conflict, &conflicts)
	numbers := []string{"rules: {base: N}", fmt.Sprintf("rules: {base: %d}", h.free.Rules), "tables: {base: N}", fmt.Sprintf("tables: {base: %d}", h.free.Tables)}
	if h.free.Mask != 0 {
		numbers = append(numbers, "mark: {mask: ...}", fmt.Sprintf("mark: {mask: %s}", h.free.Mask))
	}
	written := strings.NewReplacer(numbers...)
	for _, c := range conflicts {
		found = append(found, Finding{Serious, c.What + " is not free", c.Owner, "the policy cannot be applied beside it", written.Replace(c.Cure)})
	}
	if h.Plan == nil {
		return found
	}
	covers := h.Plan.Covers(h.Facts)
	for k, r := range h.Plan.Covering(h.Facts) {
		what := covers[k]
		if h.free.Rules < int(r.Priority) {
			what = written.Replace(what)
		}
		found = append(found, Finding{Serious, what, plan.Owner(r), "classes go where that rule says",
			fmt.Sprintf("have it take what classes leave, `%s && %s`, or `%[2]s`", h.behind(r), removeRule(r))})
	}
	return found
}

// behind is the command that adds a rule again, where all of ours come before.
func (h Host) behind(r plan.Rule) string {
	for _, ours := range h.rules() {
		r.Priority = max(r.Priority, ours.Priority/1000*1000+1000)
	}
	return r.String()
}

// removeRule is the command that removes a rule.
func removeRule(r plan.Rule) string {
	return fmt.Sprintf("ip %s rule del %s", r.Family.Option(), r.Args())
}

// ruleFindings are other people's rules that look at the mark, or are of a
// tool that is known.
func ruleFindings(h Host) (found []Finding) {
	passed := h.passed()
	for _, r := range h.Facts.Rules {
		switch {
		case r.Protocol == plan.Protocol:
		case h.likened(r):
			found = append(found, likenedFinding(r))
		case slices.Contains(passed, r):
			found = append(found, h.passedFinding(r))
		case h.proxies(r):
			found = append(found, h.proxyFinding(r))
		case r.Mask != 0:
			f := h.markFinding(r.String(), plan.Owner(r), Mark{r.Mark, r.Mask}, removeRule(r))
			if f.Severity == Note && h.Plan != nil && len(h.Plan.Classes) > 0 && int(r.Priority) < h.base() {
				f.Why += "; its rule comes before Waymark's, and takes what has its mark beside a class's"
			}
			found = append(found, f)
		case r.Table == plan.TableLocal && r.Priority != 0:
			found = append(found, h.localFinding(r))
		case registry.Owner(registry.Use{Priority: r.Priority, Table: r.Table}) != nil:
			found = append(found, Finding{Note, r.String(), plan.Owner(r), "its priority and its table are taken", ""})
		}
	}
	return found
}

// localFinding judges the rule by which packets to this host itself are found,
// which somebody has moved from the priority 0.
func (h Host) localFinding(r plan.Rule) Finding {
	f := Finding{Note, r.String(), "Cilium, or its like", fmt.Sprintf("packets to this host itself are found by the rule %d only; Waymark's come behind it", r.Priority), ""}
	if base := h.base(); base <= int(r.Priority) {
		f.Severity = Serious
		f.Why = fmt.Sprintf("packets to this host itself are found by the rule %d only, and Waymark's rules begin at %d: classes would send them out", r.Priority, base)
		f.Cure = fmt.Sprintf("begin behind it with `rules: {base: %d}`, or `ip %s rule add priority 0 lookup local`", (int(r.Priority)/1000+1)*1000, r.Family.Option())
	}
	return f
}

// proxies tells whether a rule by the mark is one that a transparent proxy gets its
// packets by (TPROXY): its table, none of the kernel's, leads nowhere but to this
// host itself. Those of classes do not come to it if they are at Waymark's rules
// first, or if it matches what Waymark puts beside the mark.
func (h Host) proxies(r plan.Rule) bool {
	t := registry.Tool{Mark: r.Mark, Mask: r.Mask}
	if r.Mask == 0 || r.Action != plan.Lookup || r.Table == plan.TableDefault || t.Bits()&uint32(h.Mask) != 0 || (!t.Whole() && int(r.Priority) < h.base()) {
		return false
	}
	return !slices.ContainsFunc(h.Facts.Routes, func(o plan.Route) bool { return o.Family == r.Family && o.Table == r.Table })
}

func (h Host) proxyFinding(r plan.Rule) Finding {
	before, how := r, "before this one"
	if before.Priority = min(r.Priority, uint32(max(1, h.base()-1))); r.Mask == registry.Whole {
		before.Mask = r.Mark
		how += fmt.Sprintf(" or because %#x is another mark with a class's bits beside it", r.Mark)
	}
	return Finding{Warning, r.String(), plan.Owner(r),
		fmt.Sprintf("table %s has no way out, as that of a transparent proxy (TPROXY): forwarded packets that are in a class are sent out by Waymark's rules, %s", plan.TableName(r.Table), how),
		fmt.Sprintf("`ip %s rule add %s; %s`", r.Family.Option(), strings.TrimSuffix(before.Args(), fmt.Sprintf(" protocol %d", r.Protocol)), removeRule(r))}
}

// base is the first rule priority that is Waymark's, or will be.
func (h Host) base() int {
	base := plan.Free(h.Facts, 0).Rules
	for i, r := range h.rules() {
		if i == 0 || int(r.Priority) < base {
			base = int(r.Priority)
		}
	}
	return base
}

func (h Host) rules() []plan.Rule {
	if h.Plan == nil {
		return nil
	}
	return h.Plan.Rules
}

// markFinding judges a match on a mark.
func (h Host) markFinding(what, owner string, m Mark, remove string) Finding {
	t := registry.Tool{Mark: m.Mark, Mask: m.Mask}
	common := t.Bits() & uint32(h.Mask)
	switch {
	case common != 0:
		return Finding{Serious, what, owner, fmt.Sprintf("it takes the bits %#x of the fwmark for its own, and they are Waymark's", common),
			h.leave(common) + ", or `" + remove + "`"}
	case t.Whole():
		return Finding{Warning, what, owner, fmt.Sprintf("it matches the whole mark: with a class's bits beside it, %#x is another. Waymark leaves sockets with that mark alone, and they are in no class", m.Mark), ""}
	}
	return Finding{Note, what, owner, fmt.Sprintf("the bits %#x of the fwmark are its own; Waymark never changes them", m.Mask), ""}
}

// wireguardFindings are tunnels whose own packets carry a mark, as
// `wg show all fwmark` prints them.
func wireguardFindings(h Host) (found []Finding) {
	for line := range strings.Lines(h.WireGuard) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), "\t")
		m := marked(text)
		if m.Mark == 0 {
			continue
		}
		f := Finding{Note, fmt.Sprintf("the tunnel %s sends its packets with the fwmark %#x", name, m.Mark), "WireGuard", "Waymark leaves them alone: they are in no class", ""}
		if common := m.Mark & uint32(h.Mask); common != 0 {
			f.Severity, f.Why = Serious, fmt.Sprintf("its bits %#x look like a class's, and no class gave it to them", common)
			f.Cure = fmt.Sprintf("`wg set %s fwmark %#x`, and the same in the rules that match it; or %s", name, m.Mark&^uint32(h.Mask)|1, h.leave(common))
		}
		found = append(found, f)
	}
	return found
}

// strangers are the marks of open sockets that no class of the plan gave them.
func (h Host) strangers() map[uint32]bool {
	marks := map[uint32]bool{}
	for mark := range h.Facts.InUse {
		ours := h.Plan != nil && (h.Plan.ClassOf(mark) != nil || h.Plan.Holds(mark))
		if mark&uint32(h.Mask) == 0 || !ours {
			marks[mark] = true
		}
	}
	delete(marks, 0)
	return marks
}

// socketFindings are sockets that carry bits of ours while no class does, and
// those that Waymark leaves alone; of one owner's together.
func socketFindings(h Host) (found []Finding) {
	type group struct {
		owner  string
		common uint32
	}
	marks := map[group][]string{}
	var groups []group
	for _, mark := range slices.Sorted(maps.Keys(h.strangers())) {
		g := group{strings.Join(h.Holders[mark], ", "), mark & uint32(h.Mask)}
		if g.owner == "" {
			g.owner = knownFor(Mark{mark, registry.Whole})
		}
		if marks[g] == nil {
			groups = append(groups, g)
		}
		marks[g] = append(marks[g], fmt.Sprintf("%#x", mark))
	}
	for _, g := range groups {
		what := "open sockets carry the fwmark " + marks[g][0]
		if others := len(marks[g]) - 1; others > 0 {
			what += fmt.Sprintf(", and %d more", others)
		}
		f := Finding{Note, what, g.owner, "Waymark leaves them alone: they are in no class", ""}
		if g.common != 0 {
			f.Severity, f.Why = Serious, fmt.Sprintf("the bits %#x look like a class's, and no class gave them", g.common)
			f.Cure = fmt.Sprintf("%s; `ss -aenp | grep fwmark:%s` shows them", h.leave(g.common), marks[g][0])
		}
		found = append(found, f)
	}
	return found
}

// knownFor is the tool that is known for a mark; "" for none.
func knownFor(m Mark) string {
	if t := registry.Owner(registry.Use{Mark: m.Mark, Mask: m.Mask}); t != nil {
		return t.Name
	}
	return ""
}
