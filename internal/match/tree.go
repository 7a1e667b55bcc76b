// SPDX-License-Identifier: Apache-2.0

package match

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"waymark/bpf"
)

// spans are the values that lines name.
type spans struct {
	room   int     // for events, made with the first
	events []event // where a line enters the set, and where it leaves it
	deeper []span
}

// span is a single value, of which a line names only what lies below it in
// the following words of an IPv6 address.
type span struct {
	value uint32
	line  int
	next  []uint32 // lo, hi of the remaining words, two each
}

// add adds the values from lo to hi.
func (s *spans) add(line int, lo, hi uint32) {
	if s.events == nil {
		s.events = make([]event, 0, s.room)
	}
	s.events = append(s.events, newEvent(lo, line))
	if hi != 1<<32-1 {
		s.events = append(s.events, newEvent(hi+1, line))
	}
}

func (s *spans) prefix4(line int, p netip.Prefix) {
	four := p.Addr().As4()
	lo := binary.BigEndian.Uint32(four[:])
	s.add(line, lo, lo|uint32(1<<(32-p.Bits())-1))
}

func (s *spans) prefix6(line int, p netip.Prefix) {
	address, bits := p.Addr().As16(), p.Bits()
	var bounds []uint32
	for w := 0; w == 0 || 32*w < bits; w++ {
		lo := binary.BigEndian.Uint32(address[4*w:])
		free := uint32(uint64(1)<<max(0, 32*(w+1)-bits) - 1)
		bounds = append(bounds, lo, lo|free)
	}
	s.below(line, bounds)
}

// below adds what the first word of bounds says, and those behind it.
func (s *spans) below(line int, bounds []uint32) {
	if len(bounds) == 2 {
		s.add(line, bounds[0], bounds[1])
	} else {
		s.deeper = append(s.deeper, span{bounds[0], line, bounds[2:]})
	}
}

// sort puts the values in order.
func (s *spans) sort() {
	s.events = sorted(s.events)
	slices.SortStableFunc(s.deeper, func(a, b span) int { return cmp.Compare(a.value, b.value) })
}

// tree stores the tree that leads each 32-bit value to the set of lines
// that spans, in order, name, on top of what s holds already. s is as it was when
// tree returns. The result is the root branch.
func tree(s *set, of spans) uint32 {
	w := walk{set: s, rest: of}
	for w.more() {
		w.step()
	}
	for _, e := range of.events {
		s.flip(e.line())
	}
	return branches(s.into, w.entries)
}

// event is a value, in the upper half, at which a line enters the set or
// leaves it.
type event uint64

func newEvent(at uint32, line int) event { return event(at)<<32 | event(line) }

func (e event) at() uint64 { return uint64(e >> 32) }

func (e event) line() int { return int(uint32(e)) }

// walk goes through the values where the set changes, in ascending order.
type walk struct {
	set     *set
	entries []uint64
	started bool
	rest    spans // that are still to come
}

func (w *walk) more() bool {
	return !w.started || len(w.rest.events) > 0 || len(w.rest.deeper) > 0
}

// step takes everything that happens at the next value.
func (w *walk) step() {
	at := w.next()
	events := w.rest.events
	for len(events) > 0 && events[0].at() == at {
		w.set.flip(events[0].line())
		events = events[1:]
	}
	w.rest.events = events
	w.emit(at, bpf.WaymarkRefKindREF_SET, w.set.store())
	if len(w.rest.deeper) == 0 || uint64(w.rest.deeper[0].value) != at {
		return
	}
	after, below := w.set.store(), w.below(at)
	w.emit(at, bpf.WaymarkRefKindREF_NEXT, tree(w.set, below))
	if at != 1<<32-1 && (len(events) == 0 || events[0].at() != at+1) {
		w.emit(at+1, bpf.WaymarkRefKindREF_SET, after)
	}
}

// next is the first value at which something happens. The first of all is 0.
func (w *walk) next() uint64 {
	at := uint64(1 << 32)
	if !w.started {
		at, w.started = 0, true
	}
	if len(w.rest.events) > 0 {
		at = min(at, w.rest.events[0].at())
	}
	if len(w.rest.deeper) > 0 {
		at = min(at, uint64(w.rest.deeper[0].value))
	}
	return at
}

// below takes what is named of the next word, below a value of this one.
func (w *walk) below(at uint64) (next spans) {
	deeper := w.rest.deeper
	for len(deeper) > 0 && uint64(deeper[0].value) == at {
		next.below(deeper[0].line, deeper[0].next)
		deeper = deeper[1:]
	}
	w.rest.deeper = deeper
	next.sort()
	return next
}

// emit says that from a value on, ref holds. What was said of the same
// value before is replaced, and what changes nothing is left out.
func (w *walk) emit(at uint64, kind bpf.WaymarkRefKind, ref uint32) {
	if n := len(w.entries); n > 0 && w.entries[n-1]>>32 == at {
		w.entries = w.entries[:n-1]
	}
	entry := at<<32 | entryRef(kind, ref)
	if n := len(w.entries); n > 0 && uint32(w.entries[n-1]) == uint32(entry) {
		return
	}
	w.entries = append(w.entries, entry)
}

func entryRef(kind bpf.WaymarkRefKind, ref uint32) uint64 {
	return uint64(kind)<<bpf.WaymarkRefKindREF_KIND_SHIFT | uint64(ref)
}

// branches stores sorted entries as a tree of branches and returns its root.
func branches(into *cells, entries []uint64) uint32 {
	for {
		above := make([]uint64, 0, 1+len(entries)/branchEntries)
		for part := range slices.Chunk(entries, branchEntries) {
			var x cell
			for i := range x {
				x[i] = part[min(i, len(part)-1)]
			}
			above = append(above, part[0]>>32<<32|entryRef(bpf.WaymarkRefKindREF_BRANCH, into.add(x)))
		}
		if len(above) == 1 {
			return uint32(above[0]) &^ (3 << bpf.WaymarkRefKindREF_KIND_SHIFT)
		}
		entries = above
	}
}
