// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"path"
	"strings"

	"waymark/internal/match"
)

// PlaceDir is the cgroup, below the cgroup root, with a cgroup for each class
// in which `waymark exec` has started a command.
const PlaceDir = "waymark"

// PlaceSlice is the slice that has a slice for each of those classes where
// systemd keeps the cgroups.
const PlaceSlice = "waymark.slice"

// Places are the cgroups, below the cgroup root, of what was started in a
// class: without systemd, and with it.
func Places(class string) []string {
	// A dash in a slice's name says that it is in another.
	slice := "waymark-" + strings.ReplaceAll(class, "-", `\x2d`) + ".slice"
	return []string{path.Join(PlaceDir, class), path.Join(PlaceSlice, slice)}
}

// places are lines before all others, for classes in which a command was
// started: what was started there is of the class, whatever a match says.
func (m *maker) places() {
	for i, c := range m.policy.Classes {
		if m.facts.Places[c.Name] {
			var cgroups []match.Cgroup
			for _, place := range Places(c.Name) {
				cgroups = append(cgroups, match.Path(place)...)
			}
			m.plan.Lines = append(m.plan.Lines, Line{Class: i, Text: Words{note: "started by `waymark exec`"}, Pos: c.Pos, Match: match.Match{Cgroup: cgroups}})
		}
	}
}
