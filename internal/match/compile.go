// SPDX-License-Identifier: Apache-2.0

package match

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"waymark/bpf"
)

// Most is the number of lines a table can hold.
const Most = 64 * 15 * 15 * 15

// Table is the compiled form of a list of matches, as bpf/contract.h
// describes it.
type Table struct {
	Cells   []bpf.WaymarkTableCell
	Cgroups map[string]uint32 // cgroup path to its set, for every path that a match names
}

// AnyLevel is the cgroup root's level when it is not known.
const AnyLevel = -1

// Compile compiles the lines to a table. marks holds each line's verdict.
// rootLevel says how many levels the cgroup root lies below the top of the
// cgroup2 tree, or is AnyLevel. More than Most lines are an error.
func Compile(matches []Match, marks []uint32, rootLevel int) (*Table, error) {
	if len(matches) > Most {
		return nil, fmt.Errorf("compile %d matches: a table holds %d", len(matches), Most)
	}
	depth := 0
	for n := wordBits; n < len(matches); n *= nodeChildren {
		depth++
	}
	c := compiler{cells: newCells(), matches: matches, depth: depth}
	c.header.Depth = uint16(depth)
	c.numbers()
	c.prefixes()
	cgroups := c.cgroups(rootLevel)
	if c.header.Fields == 0 {
		c.header.Fields = 1 << bpf.WaymarkFieldFIELD_UID
	}
	if slices.ContainsFunc(matches, func(m Match) bool { return m.Cgroup == "" && m.UID == nil }) {
		c.header.Fields |= 1 << bpf.WaymarkFieldTABLE_HAS_TUPLES
	}
	c.verdicts(marks)
	return &Table{Cells: c.finish(), Cgroups: cgroups}, nil
}

type compiler struct {
	cells   *cells
	matches []Match
	depth   int
	header  bpf.WaymarkTableHeader
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
		var spans []span
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
		var spans [2][]span
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
	address, bits := p.Addr().AsSlice(), p.Bits()
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

// cgroups stores the set of every cgroup that a match names: the matches
// that name it or one above it, or none.
func (c *compiler) cgroups(rootLevel int) map[string]uint32 {
	s := c.unnamed(bpf.WaymarkFieldFIELD_CGROUP, func(m *Match) bool { return m.Cgroup != "" })
	c.header.NoCgroup = s.store()
	byPath := map[string][]int{}
	for i := range c.matches {
		if path := c.matches[i].Cgroup; path != "" {
			byPath[path] = append(byPath[path], i)
		}
	}
	sets := make(map[string]uint32, len(byPath))
	var open []string // the named cgroups on the way from the root
	for _, path := range slices.SortedFunc(keys(byPath), comparePaths) {
		for len(open) > 0 && !below(path, open[len(open)-1]) {
			s.flipAll(byPath[open[len(open)-1]])
			open = open[:len(open)-1]
		}
		open = append(open, path)
		s.flipAll(byPath[path])
		sets[path] = s.store()
		c.header.CgroupLevels |= levelBits(path, rootLevel)
	}
	return sets
}

func (s *set) flipAll(matches []int) {
	for _, i := range matches {
		s.flip(i)
	}
}

func keys(m map[string][]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// comparePaths orders a cgroup before what is below it, and that before any
// other.
func comparePaths(a, b string) int {
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}

func levelBits(path string, rootLevel int) uint64 {
	if rootLevel == AnyLevel {
		return ^uint64(0)
	}
	return 1 << min(63, rootLevel+1+strings.Count(path, "/"))
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
	var header bytes.Buffer
	// A fixed-size struct into memory: it cannot fail.
	_ = binary.Write(&header, binary.NativeEndian, c.header)
	for i := range c.cells.cells[0] {
		c.cells.cells[0][i] = binary.NativeEndian.Uint64(header.Bytes()[8*i:])
	}
	out := make([]bpf.WaymarkTableCell, len(c.cells.cells))
	for i := range out {
		out[i].Word = c.cells.cells[i]
	}
	return out
}
