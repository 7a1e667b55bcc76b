// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"waymark/classes"
)

// wayOf is a class's way.
func wayOf(c classes.Class) Way {
	w := Way{Otherwise: c.Otherwise, Strict: c.Strict}
	for _, h := range c.Route {
		w.Uplinks = append(w.Uplinks, h.Uplink)
		if h.Weight > 0 {
			w.Weights = append(w.Weights, h.Weight)
		}
	}
	return w
}

// String is the way as a policy would write it.
func (w Way) String() string {
	s := "[" + strings.Join(w.Uplinks, ", ") + "]"
	if w.Weights != nil {
		s = w.balance()
	}
	if w.Otherwise != classes.OtherwiseMain {
		s += " otherwise " + string(w.Otherwise)
	}
	if w.Strict {
		s += " strict"
	}
	return s
}

// balance is the name of a weighted way's table.
func (w Way) balance() string {
	parts := make([]string, len(w.Uplinks))
	for i, name := range w.Uplinks {
		parts[i] = fmt.Sprintf("%s: %d", name, w.Weights[i])
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// tables are the names, in Numbers.Tables, that the way looks in.
func (w Way) tables() []string {
	if w.Weights != nil {
		return []string{w.balance()}
	}
	return w.Uplinks
}

// number gives every class its number, slot and block. A class keeps its
// number while its way stays; a number that a class or an open socket still
// carries is given to nobody else.
func (m *maker) number() error {
	before := m.before
	free := newSpace(m.plan.Mask.Highest())
	for _, b := range before.Blocks {
		if m.blockLives(b) {
			free.take(b)
			m.plan.Blocks = append(m.plan.Blocks, b)
		}
	}
	carried := map[uint32]bool{}
	for mark := range m.facts.InUse {
		carried[m.plan.Mask.Gather(mark)] = true
	}
	for _, n := range before.Classes {
		carried[n] = true
	}
	for n := range carried {
		free.take(Block{First: n, Size: 1})
	}
	pending := map[string][]int{}
	var order []Way
	lines := make([]int, len(m.policy.Classes))
	for i := range m.plan.Lines {
		if class := m.plan.Lines[i].Class; class != NoClass {
			lines[class]++
		}
	}
	for i, c := range m.policy.Classes {
		way := wayOf(c)
		class := Class{Name: c.Name, Route: way, Fate: c.Existing, Matches: lines[i], Slot: m.slot(c.Name)}
		if n, ok := before.Classes[c.Name]; ok && m.inBlock(n, way) {
			class.Number = n
		} else {
			if pending[way.String()] == nil {
				order = append(order, way)
			}
			pending[way.String()] = append(pending[way.String()], i)
		}
		m.plan.Classes = append(m.plan.Classes, class)
	}
	for _, way := range order {
		if err := m.assign(free, carried, way, pending[way.String()]); err != nil {
			return err
		}
	}
	m.answers(carried)
	m.finishNumbers()
	return nil
}

// assign numbers the classes of one way, from its blocks or from new ones.
// A new block is as large as all the way has already, so that the rules
// grow with the logarithm of the classes.
func (m *maker) assign(free *space, carried map[uint32]bool, way Way, pending []int) error {
	var numbers []uint32
	have := uint32(0)
	for _, b := range m.plan.Blocks {
		if b.Way.String() == way.String() {
			have += b.Size
			for n := b.First; n < b.First+b.Size; n++ {
				if !carried[n] {
					numbers = append(numbers, n)
				}
			}
		}
	}
	for len(numbers) < len(pending) {
		want := max(uint32(len(pending)-len(numbers)), have)
		b, ok := free.find(want)
		if !ok {
			return fmt.Errorf("number class %s: the mask %s has no free number left, and room for %d of the %d new classes of route %s: widen `mark: {mask: ...}`, or apply without the classes that go first, and with the new ones when no socket carries the old numbers",
				m.plan.Classes[pending[len(numbers)]].Name, m.plan.Mask, len(numbers), len(pending), way)
		}
		b.Way = way
		free.take(b)
		have += b.Size
		m.plan.Blocks = append(m.plan.Blocks, b)
		for n := b.First; n < b.First+b.Size; n++ {
			numbers = append(numbers, n)
		}
	}
	for k, i := range pending {
		m.plan.Classes[i].Number = numbers[k]
	}
	return nil
}

// blockLives tells whether a block of the last plan has to stay: some class
// keeps a number in it, or an open socket carries one.
func (m *maker) blockLives(b Block) bool {
	for _, name := range b.Way.Uplinks {
		if m.plan.UplinkNamed(name) == nil {
			return false
		}
	}
	for _, c := range m.policy.Classes {
		n, ok := m.before.Classes[c.Name]
		if ok && b.contains(n) && wayOf(c).String() == b.Way.String() {
			return true
		}
	}
	for mark := range m.facts.InUse {
		if b.contains(m.plan.Mask.Gather(mark)) {
			return true
		}
	}
	return false
}

func (b Block) contains(n uint32) bool { return n >= b.First && n-b.First < b.Size }

func (m *maker) inBlock(n uint32, way Way) bool {
	return slices.ContainsFunc(m.plan.Blocks, func(b Block) bool {
		return b.contains(n) && b.Way.String() == way.String()
	})
}

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

// space is the numbers that are taken, 0 among them.
type space []bool

func newSpace(highest uint32) *space {
	s := make(space, highest+1)
	s[0] = true
	return &s
}

func (s *space) take(b Block) {
	for n := b.First; n < b.First+b.Size && n < uint32(len(*s)); n++ {
		(*s)[n] = true
	}
}

// find is the lowest free block that holds want numbers, or the largest
// there is.
func (s *space) find(want uint32) (Block, bool) {
	size := uint32(1) << bits.Len32(want-1)
	for size = min(size, uint32(len(*s))); size > 0; size /= 2 {
		for first := uint32(0); first < uint32(len(*s)); first += size {
			if !slices.Contains((*s)[first:first+size], true) {
				return Block{First: first, Size: size}, true
			}
		}
	}
	return Block{}, false
}
