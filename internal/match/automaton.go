// SPDX-License-Identifier: Apache-2.0

package match

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"waymark/bpf"
)

// mostPathCells is how large the automaton may be, 8 MiB: thousands of
// patterns stay far below it, and a few dozen with several stars in one
// name, each of which can be true with or without the others, do not.
const mostPathCells = 1 << 17

// mostPathWork bounds the time in which that is found out: places that are
// looked at, a second's worth or two.
const mostPathWork = 1 << 23

// automaton is the reader of cgroup paths under construction: a state for
// every set of places that the patterns can be at together.
type automaton struct {
	*compiler
	places  places
	names   []int   // the lines that name some
	lines   [][]int // that each pattern is of
	levels  uint64  // on which they can name cgroups
	set     *set    // of the lines that name no cgroup
	sets    map[string]uint32
	states  map[string]uint32 // to what reads on from there, with its kind
	pending []pathState
	work    int
}

// pathState is where the patterns are, and which have been named on the way.
type pathState struct {
	at    []int32 // places, ascending
	named []int32 // patterns, ascending; none of them has a place
	cell  uint32
}

// paths reads the patterns of cgroup paths, of which the automaton is made. It
// touches no cell, so that it can be done beside what does.
func (c *compiler) paths(root Root) *automaton {
	f := c.field(bpf.WaymarkFieldFIELD_CGROUP)
	a := &automaton{compiler: c, set: f.unnamed, sets: map[string]uint32{}, states: map[string]uint32{}}
	for i := range c.count {
		if f.names(i, len(c.at(i).Cgroup)) {
			a.names = append(a.names, i)
		}
	}
	a.places.root = a.places.folder()
	a.patterns(root.Level)
	return a
}

// build stores the automaton that leads from the path of every cgroup that
// some line names to the set of lines that name it or a cgroup above it, or
// no cgroup.
func (a *automaton) build(root Root) error {
	if len(a.names) > 0 {
		a.header.Fields |= 1 << bpf.WaymarkFieldFIELD_CGROUP
	}
	a.header.CgroupLevels = a.levels
	a.header.NoCgroup = a.decided()
	first := map[int32]struct{}{}
	a.places.reach(a.places.root.start, first)
	before := len(a.cells.cells)
	a.start = bpf.WaymarkCgroupStart{Root: root.ID, Ref: a.state(first, nil)}
	for len(a.pending) > 0 {
		if len(a.cells.cells)-before > mostPathCells || a.work > mostPathWork {
			return fmt.Errorf("compile %d cgroup patterns: there is no room for all their combinations: use fewer stars in one name", len(a.lines))
		}
		last := len(a.pending) - 1
		next := a.pending[last]
		a.pending = a.pending[:last]
		a.fill(next)
	}
	return nil
}

// patterns reads the lines' patterns, equal ones once.
func (a *automaton) patterns(rootLevel int) {
	room := 0
	for _, i := range a.names {
		for _, c := range a.at(i).Cgroup {
			room += placesIn(c)
		}
	}
	a.places.list = slices.Grow(a.places.list, room)
	numbers := map[Cgroup]int{}
	for _, i := range a.names {
		for _, c := range a.at(i).Cgroup {
			n, known := numbers[c]
			if !known && c != (Cgroup{}) {
				n = len(a.lines)
				numbers[c] = n
				a.lines = append(a.lines, nil)
				a.places.pattern(n, c)
				a.levels |= levelBits(c, rootLevel)
			}
			if c != (Cgroup{}) {
				a.lines[n] = append(a.lines[n], i)
			}
		}
	}
}

// levelBits are the levels on which a pattern can name cgroups.
func levelBits(c Cgroup, rootLevel int) uint64 {
	if rootLevel == AnyLevel {
		return ^uint64(0)
	}
	depth := rootLevel + len(split(c.Path))
	if c.Unit != "" {
		return ^uint64(0) << min(63, depth+1)
	}
	return 1 << min(63, depth)
}

// state returns what reads on from some places, making it if there is none
// yet. From nowhere nothing can be named any more: that is the set 0.
func (a *automaton) state(at map[int32]struct{}, named []int32) uint32 {
	a.work += 1 + len(at)
	places := make([]int32, 0, len(at))
	for p := range at {
		q := &a.places.list[p]
		_, over := slices.BinarySearch(named, int32(q.of))
		if !over && (q.ends || q.stay || !q.on.Empty()) {
			places = append(places, p)
		}
	}
	if len(places) == 0 {
		return 0
	}
	slices.Sort(places)
	key := keyOf(places) + ":" + keyOf(named)
	ref, known := a.states[key]
	if known {
		return ref
	}
	if next, ok := a.literal(places); ok {
		ref = a.text(next, named)
	} else {
		cell := a.cells.add(cell{})
		ref = withKind(bpf.WaymarkRefKindREF_NEXT, cell)
		a.pending = append(a.pending, pathState{places, named, cell})
	}
	a.states[key] = ref
	return ref
}

func keyOf(numbers []int32) string {
	key := make([]byte, 0, 4*len(numbers))
	for _, n := range numbers {
		key = binary.NativeEndian.AppendUint32(key, uint32(n))
	}
	return string(key)
}

func withKind(kind bpf.WaymarkRefKind, ref uint32) uint32 { return uint32(entryRef(kind, ref)) }

// literal is the only place that is left, if just one byte leads on from it.
func (a *automaton) literal(places []int32) (*place, bool) {
	if len(places) != 1 {
		return nil, false
	}
	p := &a.places.list[places[0]]
	_, single := p.on.Single()
	return p, single && !p.stay
}

// text stores the bytes from a place on that have no other way on.
func (a *automaton) text(p *place, named []int32) uint32 {
	var t bpf.WaymarkTextCell
	for {
		t.Bytes[t.Length], _ = p.on.Single()
		t.Length++
		after := map[int32]struct{}{}
		a.places.reach(p.to, after)
		q := &a.places.list[p.to]
		if q.ends {
			t.Next = a.setOf(append(slices.Clone(named), int32(q.of)))
			break
		}
		_, single := q.on.Single()
		if int(t.Length) == len(t.Bytes) || len(after) > 1 || !single || q.stay {
			t.Next = a.state(after, named)
			break
		}
		p = q
	}
	return withKind(bpf.WaymarkRefKindREF_TEXT, a.cells.add(asCell(t)))
}

// setOf stores the set of the lines of some patterns, and of those that name
// no cgroup.
func (a *automaton) setOf(named []int32) uint32 {
	slices.Sort(named)
	key := keyOf(named)
	ref, known := a.sets[key]
	if known {
		return ref
	}
	lines := map[int]struct{}{}
	for _, n := range named {
		for _, line := range a.lines[n] {
			lines[line] = struct{}{}
		}
	}
	for line := range lines {
		a.set.flip(line)
	}
	ref = a.decided()
	for line := range lines {
		a.set.flip(line)
	}
	a.sets[key] = ref
	return ref
}

// decided is the set as it is now: only its lowest line, if that names nothing
// but cgroups and so wins whatever else a flow has.
func (a *automaton) decided() uint32 {
	line := a.set.lowest()
	if line < 0 || !a.at(line).onlyCgroup() {
		return a.set.store()
	}
	return uint32(bpf.WaymarkRefKindSET_DECIDED) | uint32(line)
}

// fill stores the branches of a state: for every byte, what reads on.
func (a *automaton) fill(s pathState) {
	var to [256][]int32
	var always, ends []int32
	for _, p := range s.at {
		q := &a.places.list[p]
		if q.ends {
			ends = append(ends, int32(q.of))
		}
		if q.stay {
			always = append(always, p)
		}
		for w, word := range q.on {
			for ; word != 0; word &= word - 1 {
				b := 64*w + bits.TrailingZeros64(word)
				to[b] = append(to[b], int32(q.to))
			}
		}
	}
	named := s.named
	var refs [256]uint32
	if ends != nil {
		named = append(slices.Clone(s.named), ends...)
		refs[0] = a.setOf(named) // sorts named
	}
	rest := a.next(nil, always, s.named) // of the bytes, nearly all, that no place reads
	known := map[string]uint32{}
	for b := 1; b < 256; b++ {
		if b == '/' {
			refs[b] = a.next(to[b], nil, named)
			continue
		}
		if to[b] == nil {
			refs[b] = rest
			continue
		}
		key := keyOf(to[b])
		ref, ok := known[key]
		if !ok {
			ref = a.next(to[b], always, s.named)
			known[key] = ref
		}
		refs[b] = ref
	}
	a.branch(s.cell, refs)
}

func (a *automaton) next(to, always, named []int32) uint32 {
	at := make(map[int32]struct{}, len(to)+len(always))
	for _, p := range to {
		a.places.reach(int(p), at)
	}
	for _, p := range always {
		a.places.reach(int(p), at)
	}
	return a.state(at, named)
}

// branch stores what every byte leads to at a cell that is there already.
func (a *automaton) branch(at uint32, refs [256]uint32) {
	var entries []uint64
	for b, ref := range refs {
		if b == 0 || ref != refs[b-1] {
			entries = append(entries, uint64(b)<<32|uint64(ref))
		}
	}
	root := branches(a.cells, entries)
	a.cells.cells[at] = a.cells.cells[root]
	a.cells.cells = a.cells.cells[:root] // it was the last
}
