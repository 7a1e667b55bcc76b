// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"

	"waymark/bpf"
	"waymark/classes"
	"waymark/internal/match"
)

// limits finds what the BPF maps have no room for. (A class more than the mask
// has room for is found by classes.) Cgroups have no limit of their own: the
// map of each version is as large as it has to be, and has room to spare.
func (m *maker) limits() (problems classes.Problems) {
	lines := 0
	for _, c := range m.policy.Classes {
		if before := lines; before <= match.Most && before+len(c.Matches) > match.Most {
			over := c.Matches[match.Most-before]
			problems = append(problems, m.policy.Problem(over.Pos, fmt.Sprintf("%d matches: there is room for %d", m.matches(), match.Most), "give one match all the values that differ in a single field: `dst: [203.0.113.1, 203.0.113.9]`"))
		}
		lines += len(c.Matches)
	}
	for i, u := range m.policy.Uplinks {
		if i == int(bpf.WaymarkLimitsMAX_UPLINKS) {
			problems = append(problems, m.policy.Problem(u.Pos, fmt.Sprintf("%d uplinks: there is room for %d", len(m.policy.Uplinks), i), "delete the uplinks that no route names"))
		}
	}
	for _, c := range m.policy.Classes {
		if most := int(bpf.WaymarkLimitsMAX_ROUTE); len(c.Route) > most {
			problems = append(problems, m.policy.Problem(c.RoutePos, fmt.Sprintf("a route of %d uplinks: there is room for %d", len(c.Route), most), "delete those at its end"))
		}
	}
	return problems
}

// matches is how many the policy has.
func (m *maker) matches() (n int) {
	for _, c := range m.policy.Classes {
		n += len(c.Matches)
	}
	return n
}

// uplinkNumber is an uplink's place in the BPF maps. A place of one that is
// gone is given out again only when there is no other: its counts would
// appear under another name.
func (m *maker) uplinkNumber(name string) int {
	numbers := m.plan.Numbers.Uplinks
	if n, ok := numbers[name]; ok {
		return n
	}
	holders := make([]string, bpf.WaymarkLimitsMAX_UPLINKS)
	for holder, n := range numbers {
		if n < len(holders) {
			holders[n] = holder
		}
	}
	n := slices.Index(holders, "")
	if n < 0 {
		n = slices.IndexFunc(holders, func(holder string) bool {
			return !slices.ContainsFunc(m.policy.Uplinks, func(u classes.Uplink) bool { return u.Name == holder })
		})
		delete(numbers, holders[n])
	}
	numbers[name] = n
	return n
}
