// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"slices"

	"waymark/classes"
	"waymark/internal/plan"
)

// groups are what is not counted without them, in the words of a sentence.
var groups = map[classes.Group]string{
	classes.GroupRTT:     "Round-trip times",
	classes.GroupConnect: "Connections, their connect times, and retransmits",
	classes.GroupQueue:   "Times in the queue",
	classes.GroupDrops:   "Drops",
	classes.GroupHits:    "Hits of matches",
	classes.GroupSends:   "Datagrams that could not be sent",
}

// off says what is not counted, for the policy or the kernel does not have it.
func (m *Meter) off(s *Sample) {
	for _, g := range classes.Groups {
		h, traces := plan.TracePrograms[g]
		switch {
		case slices.Contains(m.plan.Off, g):
			s.Off = append(s.Off, fmt.Sprintf("%s are not counted: the policy says `telemetry: {%s: false}`.", groups[g], g))
		case traces && !slices.ContainsFunc(m.plan.Hooks, func(p plan.Hook) bool { return p.Program == h.Program }):
			s.Off = append(s.Off, fmt.Sprintf("%s are not counted: this kernel has no %s that can be used.", groups[g], h.Place))
		}
	}
}
