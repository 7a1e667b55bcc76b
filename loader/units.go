// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"slices"

	"waymark/classes"
	"waymark/internal/host"
)

// UnitNotes says which system units of a policy this host's systemd does not
// know, one sentence each. That is no error: they may be installed later.
// Patterns, and units of users' own managers, are not asked for; none where
// no systemd answers.
func UnitNotes(policy *classes.Policy) (notes []string) {
	var names []string
	policy.AllMatches(func(m *classes.Match) {
		for _, u := range m.Unit {
			if u.User == nil && !classes.IsGlob(u.Name) && !slices.Contains(names, u.Name) {
				names = append(names, u.Name)
			}
		}
	})
	for _, name := range host.UnknownUnits(names) {
		notes = append(notes, fmt.Sprintf("unit %s: systemd has none of that name yet: `systemctl list-unit-files` lists those it has", name))
	}
	return notes
}
