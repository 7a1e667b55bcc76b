// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"maps"
	"net/netip"
	"slices"

	"waymark/classes"
)

// Numbers is what has to stay the same from one plan to the next, whatever
// the policy says by then: a socket may carry a number long after its class
// is gone. It is kept with the state that is applied.
type Numbers struct {
	Mask     Mask                             `json:"mask"`     // that Classes and Blocks are numbers of
	Base     int                              `json:"base"`     // that Tables are counted from
	Uplinks  map[string]int                   `json:"uplinks"`  // uplink name to its place in the BPF maps
	Tables   map[string]uint32                `json:"tables"`   // uplink name, or a balance's key, to its table
	Slots    map[string]uint32                `json:"slots"`    // class name to its line of counters
	Classes  map[string]uint32                `json:"classes"`  // class name to its number
	Answers  map[string]uint32                `json:"answers"`  // uplink name to the number of its answers
	Blocks   []Block                          `json:"blocks"`   //
	Gateways map[string]map[Family]netip.Addr `json:"gateways"` // interface to its next hops, for `auto` on a link whose routes are gone
}

// number gives every class its number, slot and block. A class keeps its
// number while its way stays; a number that a class or an open socket still
// carries is given to nobody else.
func (m *maker) number() error {
	free, carried := m.taken()
	pending, order := m.keepNumbers()
	for _, way := range order {
		if err := m.assign(free, carried, way, pending[way.String()]); err != nil {
			return err
		}
	}
	m.answers(carried)
	m.finishNumbers()
	return nil
}

// taken keeps the blocks that have to stay, and tells which numbers are free of
// them, and which some socket or class of the last plan carries.
func (m *maker) taken() (free *space, carried map[uint32]bool) {
	free, carried = newSpace(m.plan.Mask.Highest()), map[uint32]bool{}
	for _, b := range m.before.Blocks {
		if m.blockLives(b) {
			free.take(b)
			m.plan.Blocks = append(m.plan.Blocks, b)
		}
	}
	for mark := range m.facts.InUse {
		carried[m.plan.Mask.Gather(mark)] = true
	}
	for _, n := range m.before.Classes {
		carried[n] = true
	}
	for n := range carried {
		free.take(Block{First: n, Size: 1})
	}
	return free, carried
}

// keepNumbers makes the plan's classes, with the numbers that they keep; pending
// are the others, by their way, and order these ways as they come.
func (m *maker) keepNumbers() (pending map[string][]int, order []Way) {
	pending = map[string][]int{}
	lines := make([]int, len(m.policy.Classes))
	for i := range m.plan.Lines {
		if class := m.plan.Lines[i].Class; class != NoClass {
			lines[class]++
		}
	}
	for i, c := range m.policy.Classes {
		way := wayOf(c)
		class := Class{Name: c.Name, Route: way, Fate: c.Existing, Matches: lines[i], Slot: m.slot(c.Name)}
		if n, ok := m.before.Classes[c.Name]; ok && m.inBlock(n, way) {
			class.Number = n
		} else {
			key := way.String()
			if pending[key] == nil {
				order = append(order, way)
			}
			pending[key] = append(pending[key], i)
		}
		m.plan.Classes = append(m.plan.Classes, class)
	}
	return pending, order
}

func (m *maker) finishNumbers() {
	slices.SortFunc(m.plan.Blocks, func(a, b Block) int { return int(a.First) - int(b.First) })
	m.plan.Numbers.Blocks = m.plan.Blocks
	m.plan.Numbers.Classes = map[string]uint32{}
	for i := range m.plan.Classes {
		c := &m.plan.Classes[i]
		c.Mark = m.plan.Mask.Spread(c.Number)
		m.plan.Numbers.Classes[c.Name] = c.Number
	}
}

// under is what of the numbers still holds under a policy: numbers are those
// of one mask.
func (n Numbers) under(p *classes.Policy) Numbers {
	if n.Mask != Mask(p.Mark.Mask) {
		n.Mask, n.Classes, n.Answers, n.Blocks = Mask(p.Mark.Mask), nil, nil, nil
	}
	return n
}

// With adds the blocks of a plan that may be in force in part: a socket that
// got one of their numbers keeps its way for as long as it is open.
func (n Numbers) With(other Numbers) Numbers {
	if n.Mask != other.Mask {
		return n
	}
	free := newSpace(n.Mask.Highest())
	for _, b := range n.Blocks {
		free.take(b)
	}
	n.Blocks = slices.Clone(n.Blocks)
	for _, b := range other.Blocks {
		if !slices.Contains((*free)[b.First:b.First+b.Size], true) {
			n.Blocks = append(n.Blocks, b)
		}
	}
	return n
}

// clone is a copy whose maps exist. Tables counted from another base are
// left out.
func (n Numbers) clone(base int) Numbers {
	c := Numbers{Mask: n.Mask, Base: base, Uplinks: map[string]int{}, Tables: map[string]uint32{}, Slots: map[string]uint32{},
		Gateways: map[string]map[Family]netip.Addr{}}
	maps.Copy(c.Uplinks, n.Uplinks)
	if n.Base == base {
		maps.Copy(c.Tables, n.Tables)
	}
	maps.Copy(c.Slots, n.Slots)
	maps.Copy(c.Gateways, n.Gateways)
	return c
}
