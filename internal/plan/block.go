// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"math/bits"
	"slices"
)

// Block is an aligned range of numbers that belongs to one way: one masked
// fwmark selects it. Size is a power of two and divides First.
type Block struct {
	First uint32 `json:"first"`
	Size  uint32 `json:"size"`
	Way   Way    `json:"way"`
}

func (b Block) contains(n uint32) bool { return n >= b.First && n-b.First < b.Size }

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

func (m *maker) inBlock(n uint32, way Way) bool {
	return slices.ContainsFunc(m.plan.Blocks, func(b Block) bool {
		return b.contains(n) && b.Way.String() == way.String()
	})
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
