// SPDX-License-Identifier: Apache-2.0

package match

import (
	"waymark/bpf"
)

type cell = [8]uint64

const (
	branchEntries = int(bpf.WaymarkLimitsBRANCH_ENTRIES)
	nodeChildren  = int(bpf.WaymarkLimitsNODE_CHILDREN)
	wordBits      = int(bpf.WaymarkLimitsWORD_BITS)
	maxDepth      = int(bpf.WaymarkLimitsMAX_DEPTH)
	emptyCell     = 1 // all zero
	startCell     = uint32(bpf.WaymarkLimitsCGROUP_CELL)
)

// cells is a table under construction. Equal words and equal nodes are
// stored once, which is what keeps a table's size near that of its rules.
type cells struct {
	cells    []cell
	words    map[uint64]uint32
	nodes    map[cell]uint32
	openCell uint32 // the words cell that has room
	openWord uint32
}

func newCells() *cells {
	c := &cells{
		cells:    make([]cell, startCell+1),
		words:    map[uint64]uint32{0: emptyCell * 8},
		nodes:    map[cell]uint32{{}: emptyCell},
		openWord: 8,
	}
	return c
}

func (c *cells) add(x cell) uint32 {
	c.cells = append(c.cells, x)
	return uint32(len(c.cells) - 1)
}

func (c *cells) word(bits uint64) uint32 {
	if ref, ok := c.words[bits]; ok {
		return ref
	}
	if c.openWord == 8 {
		c.openCell, c.openWord = c.add(cell{}), 0
	}
	c.cells[c.openCell][c.openWord] = bits
	ref := c.openCell*8 + c.openWord
	c.openWord++
	c.words[bits] = ref
	return ref
}

func (c *cells) node(x cell) uint32 {
	if ref, ok := c.nodes[x]; ok {
		return ref
	}
	ref := c.add(x)
	c.nodes[x] = ref
	return ref
}

// set is a set of matches that changes a little at a time; store puts what
// it is now into the table, touching only what changed since the last time.
type set struct {
	into  *cells
	depth int
	words []uint64
	refs  [][]uint32       // refs[0] of the words, refs[l] of the nodes l levels above
	dirty map[int]struct{} // words changed since the last store
}

func newSet(into *cells, matches, depth int) *set {
	s := &set{into: into, depth: depth, dirty: map[int]struct{}{}}
	n := max(1, (matches+wordBits-1)/wordBits)
	s.words = make([]uint64, n)
	empty := uint32(emptyCell * 8)
	for l := 0; l <= depth; l++ {
		refs := make([]uint32, n)
		for i := range refs {
			refs[i] = empty
		}
		s.refs = append(s.refs, refs)
		n, empty = (n+nodeChildren-1)/nodeChildren, emptyCell
	}
	return s
}

func (s *set) flip(match int) {
	s.words[match/wordBits] ^= 1 << (match % wordBits)
	s.dirty[match/wordBits] = struct{}{}
}

// store returns the reference of what the set is now.
func (s *set) store() uint32 {
	dirty := s.dirty
	for w := range dirty {
		s.refs[0][w] = s.into.word(s.words[w])
	}
	for l := 1; l <= s.depth; l++ {
		above := make(map[int]struct{}, len(dirty))
		for i := range dirty {
			above[i/nodeChildren] = struct{}{}
		}
		for i := range above {
			s.refs[l][i] = s.into.node(s.nodeAt(l, i))
		}
		dirty = above
	}
	clear(s.dirty)
	return s.refs[s.depth][0]
}

// nodeAt is the i-th node of level l, as its children are now.
func (s *set) nodeAt(l, i int) cell {
	children := s.refs[l-1][i*nodeChildren:]
	empty := uint32(emptyCell)
	if l == 1 {
		empty *= 8
	}
	var bitmap uint32
	var half [16]uint32
	for c := 0; c < min(nodeChildren, len(children)); c++ {
		if children[c] != empty {
			bitmap |= 1 << c
			half[c+1] = children[c]
		}
	}
	half[0] = bitmap
	return fromHalves(half)
}

func fromHalves(h [16]uint32) (x cell) {
	for i := range x {
		x[i] = uint64(h[2*i]) | uint64(h[2*i+1])<<32
	}
	return x
}
