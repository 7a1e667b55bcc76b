// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strings"

	"waymark/internal/registry"
)

// Conflict is one thing a plan needs that is somebody else's.
type Conflict struct {
	What  string // what both want
	Owner string // who has it, as far as it can be told
	Cure  string // what to write instead
}

// Conflicts is the error of a plan that would take what is somebody else's.
type Conflicts []Conflict

func (c Conflicts) Error() string {
	lines := make([]string, len(c))
	for i, x := range c {
		lines[i] = fmt.Sprintf("%s belongs to %s\n  hint: %s", x.What, x.Owner, x.Cure)
	}
	return strings.Join(lines, "\n")
}

// conflicts holds the plan against other people's rules and tables.
func (m *maker) conflicts() error {
	var found Conflicts
	found = append(found, m.priorityConflicts()...)
	found = append(found, m.markConflicts()...)
	found = append(found, m.tableConflicts()...)
	if len(found) > 0 {
		return found
	}
	return nil
}

func (m *maker) foreignRules() (rules []Rule) {
	for _, r := range m.facts.Rules {
		if r.Protocol != Protocol {
			rules = append(rules, r)
		}
	}
	return rules
}

func (m *maker) priorityConflicts() (found Conflicts) {
	type place struct {
		family   Family
		priority uint32
	}
	ours := map[place]bool{}
	for _, r := range m.plan.Rules {
		ours[place{r.Family, r.Priority}] = true
	}
	for _, r := range m.foreignRules() {
		if ours[place{r.Family, r.Priority}] {
			found = append(found, Conflict{
				What:  fmt.Sprintf("%s rule priority %d", r.Family, r.Priority),
				Owner: Owner(r) + ": " + r.String(),
				Cure:  m.elsewhere(r)})
		}
	}
	return found
}

// elsewhere is how to keep out of the way of a rule with a priority of ours.
// That of VRFs must not go, and comes before all that a mark decides.
func (m *maker) elsewhere(r Rule) string {
	if r.Action == lookupVRF {
		return fmt.Sprintf("begin behind it with `rules: {base: %d}`: what is bound to a VRF stays in it", freePriorities(m.facts))
	}
	return "begin elsewhere with `rules: {base: N}`, or remove that rule"
}

// markConflicts finds rules that give our bits a meaning of their own: by a
// mask that names some of them, or by a whole mark that sets some.
func (m *maker) markConflicts() (found Conflicts) {
	ours := uint32(m.plan.Mask)
	for _, r := range m.foreignRules() {
		theirs := r.Mask & ours
		if r.Mask == 1<<32-1 {
			theirs = r.Mark & ours
		}
		if theirs == 0 {
			continue
		}
		cure := fmt.Sprintf("leave those bits out with `mark: {mask: %#x}`, or remove that rule", ours&^theirs)
		if theirs == ours {
			cure = "take other bits with `mark: {mask: ...}`, or remove that rule"
		}
		found = append(found, Conflict{
			What:  fmt.Sprintf("fwmark %#x", theirs),
			Owner: Owner(r) + ": " + r.String(),
			Cure:  cure})
	}
	return found
}

func (m *maker) tableConflicts() (found Conflicts) {
	ours := map[uint32]string{}
	for name, t := range m.plan.Numbers.Tables {
		ours[t] = name
	}
	seen := map[uint32]bool{}
	for _, r := range m.facts.Routes {
		if name, ok := ours[r.Table]; ok && r.Protocol != Protocol && !seen[r.Table] {
			seen[r.Table] = true
			found = append(found, Conflict{
				What:  fmt.Sprintf("routing table %d (for %s)", r.Table, name),
				Owner: owner(r.Protocol, known(registry.Use{Table: r.Table})) + ": " + r.String(),
				Cure:  "begin elsewhere with `tables: {base: N}`, or remove that route"})
		}
	}
	for _, r := range m.foreignRules() {
		if name, ok := ours[r.Table]; ok && r.Action == Lookup && !seen[r.Table] {
			seen[r.Table] = true
			found = append(found, Conflict{
				What:  fmt.Sprintf("routing table %d (for %s)", r.Table, name),
				Owner: Owner(r) + ": " + r.String(),
				Cure:  "begin elsewhere with `tables: {base: N}`, or remove that rule"})
		}
	}
	return found
}
