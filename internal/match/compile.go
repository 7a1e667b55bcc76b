// SPDX-License-Identifier: Apache-2.0

package match

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"

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
	return CompileLines(len(matches), func(i int) *Match { return &matches[i] }, marks, root)
}

// CompileLines is Compile of so many lines, which lie elsewhere.
func CompileLines(count int, at func(i int) *Match, marks []uint32, root Root) (*Table, error) {
	if count > Most {
		return nil, fmt.Errorf("compile %d matches: a table holds %d", count, Most)
	}
	depth := 0
	for n := wordBits; n < count; n *= nodeChildren {
		depth++
	}
	c := compiler{cells: newCells(count), count: count, at: at, depth: depth}
	c.header.Depth = uint16(depth)
	var paths *automaton
	var reading sync.WaitGroup
	reading.Go(func() { paths = c.paths(root) })
	c.fields()
	reading.Wait()
	if err := paths.build(root); err != nil {
		return nil, err
	}
	if c.header.Fields&^(1<<bpf.WaymarkFieldTABLE_HAS_TUPLES) == 0 {
		c.header.Fields |= 1 << bpf.WaymarkFieldFIELD_UID
	}
	c.verdicts(marks)
	return &Table{Cells: c.finish()}, nil
}

type compiler struct {
	cells  *cells
	count  int
	at     func(i int) *Match
	depth  int
	header bpf.WaymarkTableHeader
	start  bpf.WaymarkCgroupStart
}

// fields stores the trees of all fields but the cgroup.
func (c *compiler) fields() {
	h := &c.header
	uid, proto, iif := c.field(bpf.WaymarkFieldFIELD_UID), c.field(bpf.WaymarkFieldFIELD_PROTO), c.field(bpf.WaymarkFieldFIELD_IIF)
	sport, dport := c.field(bpf.WaymarkFieldFIELD_SPORT), c.field(bpf.WaymarkFieldFIELD_DPORT)
	src, dst := c.field(bpf.WaymarkFieldFIELD_SRC), c.field(bpf.WaymarkFieldFIELD_DST)
	for i := range c.count {
		m := c.at(i)
		uid.numbers(i, m.UID)
		proto.numbers(i, m.Proto)
		sport.numbers(i, m.Sport)
		dport.numbers(i, m.Dport)
		iif.numbers(i, m.IIF)
		src.prefixes(i, m.Src)
		dst.prefixes(i, m.Dst)
		// Of a socket's cgroup and protocol a hook has seen all that its line asks for.
		onItsWay := m.Cgroup == nil || m.Dst != nil || m.Src != nil || m.Dport != nil || m.Sport != nil
		if onItsWay && m.UID == nil {
			h.Fields |= 1 << bpf.WaymarkFieldTABLE_HAS_TUPLES
		}
	}
	sort(uid, proto, iif, sport, dport, src, dst)
	h.Uid, h.Proto, h.Iif = c.tree(uid, 0), c.tree(proto, 0), c.tree(iif, 0)
	h.Ports[0], h.Ports[1] = c.tree(sport, 0), c.tree(dport, 0)
	h.NoSrc, h.NoDst = src.unnamed.store(), dst.unnamed.store()
	for six := range h.Addresses {
		h.Addresses[six][0], h.Addresses[six][1] = c.tree(src, six), c.tree(dst, six)
	}
}

// sort puts the values of fields in order, on all CPUs: it takes a fifth of the
// time.
func sort(fields ...*field) {
	var sorting sync.WaitGroup
	for _, f := range fields {
		sorting.Go(func() {
			f.spans[0].sort()
			f.spans[1].sort()
		})
	}
	sorting.Wait()
}

func (c *compiler) tree(f *field, six int) uint32 {
	if f.named {
		c.header.Fields |= 1 << f.bit
	}
	return tree(f.unnamed, f.spans[six])
}

// field is what all lines say of one field.
type field struct {
	bit     bpf.WaymarkField
	named   bool     // by some line
	unnamed *set     // the lines that do not
	spans   [2]spans // of those that do: numbers and IPv4, IPv6
}

func (c *compiler) field(bit bpf.WaymarkField) *field {
	of := spans{room: 2 * c.count} // most lines name one value, if any
	return &field{bit: bit, unnamed: newSet(c.cells, c.count, c.depth), spans: [2]spans{of, of}}
}

func (f *field) numbers(line int, ranges []Range) {
	if f.names(line, len(ranges)) {
		for _, r := range union(ranges) {
			f.spans[0].add(line, r.Lo, r.Hi)
		}
	}
}

func (f *field) prefixes(line int, prefixes []netip.Prefix) {
	if f.names(line, len(prefixes)) {
		for _, p := range outermost(prefixes) {
			if p.Addr().Is4() {
				f.spans[0].prefix4(line, p)
			} else {
				f.spans[1].prefix6(line, p)
			}
		}
	}
}

// names tells whether a line names the field, and notes if it does not.
func (f *field) names(line, values int) bool {
	if values == 0 {
		f.unnamed.flip(line)
		return false
	}
	f.named = true
	return true
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

func (c *compiler) verdicts(marks []uint32) {
	c.header.Verdicts = uint32(len(c.cells.cells))
	for part := range slices.Chunk(marks, 16) {
		var half [16]uint32
		copy(half[:], part)
		c.cells.add(fromHalves(half))
	}
}

func (c *compiler) finish() []bpf.WaymarkTableCell {
	c.cells.cells[0].Word = asCell(c.header)
	c.cells.cells[startCell].Word = asCell(c.start)
	return c.cells.cells
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
