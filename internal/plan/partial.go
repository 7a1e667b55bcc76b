// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"

	"waymark/internal/registry"
)

// Partial are the rules of others by which all that goes to some destinations takes
// a table of theirs, and nothing else does: what main is to Waymark's own rules, too.
// A class does not come to those that stand behind its rules. Tailscale has one.
func Partial(facts Facts) []Rule {
	return slices.DeleteFunc(slices.Clone(facts.Rules), func(r Rule) bool {
		return r.Protocol == Protocol || !r.isForAll() || !leadsSome(facts, r) || r.destination() == "" && !r.Suppress && leadsAll(facts, r)
	})
}

// isForAll tells whether a rule looks up a table of somebody's for whoever sends.
func (r Rule) isForAll() bool {
	return r.Action == Lookup && r.Table != TableMain && r.Table != TableLocal && r.Table != TableDefault &&
		r.Mask == 0 && r.OIF == "" && r.IsFromAll() && (r.Other == "" || r.destination() != "")
}

// IsFromAll tells whether a rule takes packets from whatever source.
func (r Rule) IsFromAll() bool { return !r.From.IsValid() || r.From.Bits() == 0 }

// destination is the prefix that a rule of others is for, if it looks at nothing
// else; "": it is none.
func (r Rule) destination() string {
	if to, is := strings.CutPrefix(r.Other, "to "); is && !strings.Contains(to, " ") {
		return to
	}
	return ""
}

// leadsSome tells whether a rule's table knows what main does not, by more than a
// default if it is not for one destination alone.
func leadsSome(facts Facts, r Rule) bool {
	return slices.ContainsFunc(facts.Routes, func(theirs Route) bool {
		return theirs.Family == r.Family && theirs.Table == r.Table && (r.destination() != "" || !theirs.IsDefault() && !facts.mainKnows(theirs))
	})
}

// mainKnows tells whether main has a route to the same prefix.
func (f *Facts) mainKnows(r Route) bool {
	return slices.ContainsFunc(f.Routes, func(o Route) bool { return o.Family == r.Family && o.Table == TableMain && o.Dst == r.Dst })
}

// behindPartial is the first priority behind the partial rules that stand before
// another priority.
func behindPartial(facts Facts, end int) (first int) {
	for _, r := range Partial(facts) {
		if int(r.Priority) < end {
			first = max(first, int(r.Priority)+1)
		}
	}
	return first
}

// marksItself tells whether a rule is for a mark that its tool gives to its own
// sockets alone, so that nothing has it beside a class's.
func marksItself(r Rule) bool {
	t := registry.Owner(registry.Use{Priority: r.Priority, Table: r.Table, Mark: r.Mark, Mask: r.Mask})
	return t != nil && t.Itself && t.Priorities.First <= r.Priority && r.Priority <= t.Priorities.Last
}
