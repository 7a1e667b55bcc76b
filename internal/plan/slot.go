// SPDX-License-Identifier: Apache-2.0

package plan

// MostSlots is how many lines of counters there can be, the first for what is
// unclassed: one for each class that a mask has room for.
const MostSlots = 1 << NumberBits

// slot is a class's line of counters. Lines of classes that are gone are
// given out again only when there is no other: their counts appear under
// another name.
func (m *maker) slot(name string) uint32 {
	if s, ok := m.plan.Numbers.Slots[name]; ok {
		return s
	}
	if m.lastSlot == 0 {
		for _, s := range m.plan.Numbers.Slots {
			m.lastSlot = max(m.lastSlot, s)
		}
	}
	s := m.lastSlot + 1
	if s == MostSlots {
		s = m.forgetSlot()
	} else {
		m.lastSlot = s
	}
	m.plan.Numbers.Slots[name] = s
	return s
}

// forgetSlot takes the lowest line of a class that is gone. There is one:
// there are no more classes than lines.
func (m *maker) forgetSlot() uint32 {
	kept := map[string]bool{}
	for _, c := range m.policy.Classes {
		kept[c.Name] = true
	}
	lowest, holder := uint32(MostSlots), ""
	for name, s := range m.plan.Numbers.Slots {
		if !kept[name] && s < lowest {
			lowest, holder = s, name
		}
	}
	delete(m.plan.Numbers.Slots, holder)
	return lowest
}
