// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"path"

	"waymark/internal/match"
)

// PlaceDir is the cgroup, below the cgroup root, with a cgroup for each class
// in which `waymark exec` has started a command.
const PlaceDir = "waymark"

// places are lines before all others, for classes in which a command was
// started: what was started there is of the class, whatever a match says.
func (m *maker) places() {
	for i, c := range m.policy.Classes {
		if m.facts.Places[c.Name] {
			m.plan.Lines = append(m.plan.Lines, Line{Class: i, Text: "started by `waymark exec`", Pos: c.Pos,
				Match: match.Match{Cgroup: match.Path(path.Join(PlaceDir, c.Name))}})
		}
	}
}
