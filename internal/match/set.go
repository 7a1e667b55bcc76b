// SPDX-License-Identifier: Apache-2.0

package match

import (
	"math/bits"

	"waymark/bpf"
)

type cell = [8]uint64

const (
	branchEntries = int(bpf.WaymarkLimitsBRANCH_ENTRIES)
	nodeChildren  = int(bpf.WaymarkLimitsNODE_CHILDREN)
	wordBits      = int(bpf.WaymarkLimitsWORD_BITS)
	maxDepth      = int(bpf.WaymarkLimitsMAX_DEPTH)
	emptyCell     = uint32(bpf.WaymarkLimitsEMPTY_CELL) // all zero
	startCell     = uint32(bpf.WaymarkLimitsCGROUP_CELL)
)

// cells is a table under construction. Equal words and equal nodes are
// stored once, which is what keeps a table's size near that of its rules.
type cells struct {
	cells    []bpf.WaymarkTableCell
	words    store
	nodes    store
	openCell uint32 // the words cell that has room
	openWord uint32
}

// newCells has room for a table of so many matches, which take a cell or two each.
func newCells(matches int) *cells {
	c := &cells{
		cells:    make([]bpf.WaymarkTableCell, startCell+1, int(startCell)+1+2*matches),
		words:    newStore(matches),
		nodes:    newStore(matches),
		openWord: 8,
	}
	c.words.put(hashOf(0), emptyCell*8)
	c.nodes.put(nodeHash(&cell{}), emptyCell)
	return c
}

func (c *cells) add(x cell) uint32 {
	c.cells = append(c.cells, bpf.WaymarkTableCell{Word: x})
	return uint32(len(c.cells) - 1)
}

func (c *cells) word(x uint64) uint32 {
	hash := hashOf(x)
	if ref := c.words.find(hash, func(ref uint32) bool { return c.cells[ref/8].Word[ref%8] == x }); ref != 0 {
		return ref
	}
	if c.openWord == 8 {
		c.openCell, c.openWord = c.add(cell{}), 0
	}
	c.cells[c.openCell].Word[c.openWord] = x
	ref := c.openCell*8 + c.openWord
	c.openWord++
	c.words.put(hash, ref)
	return ref
}

func (c *cells) node(x *cell) uint32 {
	hash := nodeHash(x)
	if ref := c.nodes.find(hash, func(ref uint32) bool { return c.cells[ref].Word == *x }); ref != 0 {
		return ref
	}
	ref := c.add(*x)
	c.nodes.put(hash, ref)
	return ref
}

func nodeHash(x *cell) uint32 { return hashOf(x[:]...) }

// set is a set of matches that changes a little at a time; store puts what
// it is now into the table, touching only what changed since the last time.
type set struct {
	into   *cells
	depth  int
	words  []uint64
	levels []level // of the words, and of the nodes above them
}

// level is the references of one level, and which of them have changed since
// the last store.
type level struct {
	refs  []uint32
	dirty []int
	known []bool // that it is dirty
}

func (l *level) touch(i int) {
	if !l.known[i] {
		l.known[i], l.dirty = true, append(l.dirty, i)
	}
}

func newSet(into *cells, matches, depth int) *set {
	s := &set{into: into, depth: depth}
	n := max(1, (matches+wordBits-1)/wordBits)
	s.words = make([]uint64, n)
	empty := uint32(emptyCell * 8)
	for l := 0; l <= depth; l++ {
		refs := make([]uint32, n)
		for i := range refs {
			refs[i] = empty
		}
		s.levels = append(s.levels, level{refs: refs, known: make([]bool, n)})
		n, empty = (n+nodeChildren-1)/nodeChildren, emptyCell
	}
	return s
}

func (s *set) flip(match int) {
	s.words[match/wordBits] ^= 1 << (match % wordBits)
	s.levels[0].touch(match / wordBits)
}

// lowest is the first match of the set, -1 of an empty one.
func (s *set) lowest() int {
	for w, word := range s.words {
		if word != 0 {
			return wordBits*w + bits.TrailingZeros64(word)
		}
	}
	return -1
}

// store returns the reference of what the set is now.
func (s *set) store() uint32 {
	for l := range s.levels {
		level := &s.levels[l]
		for _, i := range level.dirty {
			if l == 0 {
				level.refs[i] = s.into.word(s.words[i])
			} else {
				node := s.nodeAt(l, i)
				level.refs[i] = s.into.node(&node)
			}
			if l < s.depth {
				s.levels[l+1].touch(i / nodeChildren)
			}
			level.known[i] = false
		}
		level.dirty = level.dirty[:0]
	}
	return s.levels[s.depth].refs[0]
}

// nodeAt is the i-th node of level l, as its children are now.
func (s *set) nodeAt(l, i int) cell {
	children := s.levels[l-1].refs[i*nodeChildren:]
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
