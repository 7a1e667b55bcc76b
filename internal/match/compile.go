// SPDX-License-Identifier: Apache-2.0

package match

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"waymark/bpf"
)

// Most is the number of lines a table can hold.
const Most = 64 * 15 * 15 * 15

// Table is the compiled form of a list of matches, as bpf/contract.h
// describes it.
type Table struct {
	Cells []bpf.WaymarkTableCell
}

// Root is the cgroup that paths start below.
type Root struct {
	ID    uint64 // inode of its directory
	Level int    // how many levels it lies below the top of the cgroup2 tree, or AnyLevel
}

// AnyLevel is the cgroup root's level when it is not known.
const AnyLevel = -1

// Compile compiles the lines to a table. marks holds each line's verdict.
// More than Most lines are an error, and so are cgroup patterns whose
// automaton would be larger than there is room for.
func Compile(matches []Match, marks []uint32, root Root) (*Table, error) {
	if len(matches) > Most {
		return nil, fmt.Errorf("compile %d matches: a table holds %d", len(matches), Most)
	}
	depth := 0
	for n := wordBits; n < len(matches); n *= nodeChildren {
		depth++
	}
	c := compiler{cells: newCells(len(matches)), matches: matches, depth: depth}
	c.header.Depth = uint16(depth)
	c.numbers()
	c.prefixes()
	if err := c.cgroups(root); err != nil {
		return nil, err
	}
	if c.header.Fields == 0 {
		c.header.Fields = 1 << bpf.WaymarkFieldFIELD_UID
	}
	if slices.ContainsFunc(matches, func(m Match) bool { return m.Cgroup == nil && m.UID == nil }) {
		c.header.Fields |= 1 << bpf.WaymarkFieldTABLE_HAS_TUPLES
	}
	c.verdicts(marks)
	return &Table{Cells: c.finish()}, nil
}

type compiler struct {
	cells   *cells
	matches []Match
	depth   int
	header  bpf.WaymarkTableHeader
	start   bpf.WaymarkCgroupStart
}

// unnamed is the set of the matches that do not name a field.
func (c *compiler) unnamed(field bpf.WaymarkField, names func(*Match) bool) *set {
	s := newSet(c.cells, len(c.matches), c.depth)
	for i := range c.matches {
		if names(&c.matches[i]) {
			c.header.Fields |= 1 << field
		} else {
			s.flip(i)
		}
	}
	return s
}

func (c *compiler) numbers() {
	h := &c.header
	for _, f := range []struct {
		field  bpf.WaymarkField
		root   *uint32
		ranges func(*Match) []Range
	}{
		{bpf.WaymarkFieldFIELD_UID, &h.Uid, func(m *Match) []Range { return m.UID }},
		{bpf.WaymarkFieldFIELD_PROTO, &h.Proto, func(m *Match) []Range { return m.Proto }},
		{bpf.WaymarkFieldFIELD_SPORT, &h.Ports[0], func(m *Match) []Range { return m.Sport }},
		{bpf.WaymarkFieldFIELD_DPORT, &h.Ports[1], func(m *Match) []Range { return m.Dport }},
		{bpf.WaymarkFieldFIELD_IIF, &h.Iif, func(m *Match) []Range { return m.IIF }},
	} {
		s := c.unnamed(f.field, func(m *Match) bool { return len(f.ranges(m)) > 0 })
		spans := make([]span, 0, len(c.matches))
		for i := range c.matches {
			for _, r := range union(f.ranges(&c.matches[i])) {
				spans = append(spans, span{lo: r.Lo, hi: r.Hi, match: i})
			}
		}
		*f.root = tree(s, spans)
	}
}

// union is the same values in ranges that neither touch nor overlap, in
// ascending order.
func union(ranges []Range) []Range {
	if len(ranges) < 2 {
		return ranges
	}
	sorted := slices.SortedFunc(slices.Values(ranges), func(a, b Range) int { return int(int64(a.Lo) - int64(b.Lo)) })
	out := sorted[:1]
	for _, r := range sorted[1:] {
		last := &out[len(out)-1]
		if uint64(r.Lo) <= uint64(last.Hi)+1 {
			last.Hi = max(last.Hi, r.Hi)
		} else {
			out = append(out, r)
		}
	}
	return out
}

func (c *compiler) prefixes() {
	h := &c.header
	for end, f := range []struct {
		field    bpf.WaymarkField
		unknown  *uint32
		prefixes func(*Match) []netip.Prefix
	}{
		{bpf.WaymarkFieldFIELD_SRC, &h.NoSrc, func(m *Match) []netip.Prefix { return m.Src }},
		{bpf.WaymarkFieldFIELD_DST, &h.NoDst, func(m *Match) []netip.Prefix { return m.Dst }},
	} {
		s := c.unnamed(f.field, func(m *Match) bool { return len(f.prefixes(m)) > 0 })
		spans := [2][]span{make([]span, 0, len(c.matches)), nil}
		for i := range c.matches {
			for _, p := range outermost(f.prefixes(&c.matches[i])) {
				six := 0
				if p.Addr().Is6() {
					six = 1
				}
				spans[six] = append(spans[six], prefixSpan(p, i))
			}
		}
		*f.unknown = s.store()
		h.Addresses[0][end] = tree(s, spans[0])
		h.Addresses[1][end] = tree(s, spans[1])
	}
}

// outermost is the prefixes that no other of them contains.
func outermost(prefixes []netip.Prefix) []netip.Prefix {
	if len(prefixes) < 2 {
		return prefixes
	}
	sorted := slices.SortedFunc(slices.Values(prefixes), netip.Prefix.Compare)
	out := sorted[:1]
	for _, p := range sorted[1:] {
		if last := out[len(out)-1]; !last.Overlaps(p) {
			out = append(out, p)
		}
	}
	return out
}

func prefixSpan(p netip.Prefix, match int) span {
	if p.Addr().Is4() {
		four := p.Addr().As4()
		lo := binary.BigEndian.Uint32(four[:])
		return span{lo: lo, hi: lo | uint32(1<<(32-p.Bits())-1), match: match}
	}
	address, bits := p.Addr().As16(), p.Bits()
	var bounds []uint32
	for w := 0; w == 0 || 32*w < bits; w++ {
		lo := binary.BigEndian.Uint32(address[4*w:])
		free := uint32(uint64(1)<<max(0, 32*(w+1)-bits) - 1)
		bounds = append(bounds, lo, lo|free)
	}
	s := span{lo: bounds[0], hi: bounds[1], match: match}
	if len(bounds) > 2 {
		s.next = bounds[2:]
	}
	return s
}

func (c *compiler) verdicts(marks []uint32) {
	c.header.Verdicts = uint32(len(c.cells.cells))
	for part := range slices.Chunk(marks, 16) {
		var half [16]uint32
		copy(half[:], part)
		c.cells.add(fromHalves(half))
	}
}

func (c *compiler) finish() []bpf.WaymarkTableCell {
	c.cells.cells[0] = asCell(c.header)
	c.cells.cells[startCell] = asCell(c.start)
	out := make([]bpf.WaymarkTableCell, len(c.cells.cells))
	for i := range out {
		out[i].Word = c.cells.cells[i]
	}
	return out
}

// asCell is a struct of one cell's size.
func asCell(value any) (x cell) {
	var raw bytes.Buffer
	// A fixed-size struct into memory: it cannot fail.
	_ = binary.Write(&raw, binary.NativeEndian, value)
	for i := range x {
		x[i] = binary.NativeEndian.Uint64(raw.Bytes()[8*i:])
	}
	return x
}
