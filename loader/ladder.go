// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"slices"

	"waymark/internal/plan"
)

// decided adds the ladder. The kernel does not count what a rule decides; what
// leaves by a class and an uplink does so by one rule of the class's block.
func (m *Meter) decided(s *Sample) {
	s.Rules = slices.Clone(m.rules)
	for k, r := range m.plan.Rules {
		uplink := m.uplinkOf(r.Table)
		if uplink < 0 || r.Action != plan.Lookup {
			continue
		}
		for n := range s.Classes {
			if packets, of := decidedBy(&r, &s.Classes[n], uplink); of {
				s.Rules[k].Packets += packets
				s.Rules[k].Classes = append(s.Rules[k].Classes, RuleClass{s.Classes[n].Name, packets})
			}
		}
	}
}

// decidedBy is what left of a class for a rule's sake, by the uplink of the
// rule's table. Of a rule for an address there is something to say where some
// did, and of what is unclassed.
func decidedBy(r *plan.Rule, c *ClassSample, uplink int) (packets uint64, of bool) {
	t := &c.Traffic[uplink]
	switch {
	case r.Mask == 0:
		return t.Causes.Chosen, t.Causes.Chosen > 0 || c.Mark == 0
	case c.Mark == 0 || r.From.IsValid() || c.Mark&r.Mask != r.Mark:
		return 0, false
	case r.Family == plan.IPv6:
		return t.Sent.IPv6.Packets, true
	default:
		return t.Sent.IPv4.Packets, true
	}
}

// uplinkOf is the place in the plan of the uplink with a table; -1 for none.
func (m *Meter) uplinkOf(table uint32) int {
	for k, u := range m.plan.Uplinks {
		if u.Table == table {
			return k
		}
	}
	return -1
}
