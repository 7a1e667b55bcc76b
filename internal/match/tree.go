// SPDX-License-Identifier: Apache-2.0

package match

import (
	"cmp"
	"slices"

	"waymark/bpf"
)

// span is an interval of 32-bit values that a match names. When next is not
// nil it is a single value, and the match names only what lies below it in
// the following words of an IPv6 address.
type span struct {
	lo, hi uint32
	match  int
	next   []uint32 // lo, hi of the remaining words, two each
}

// tree stores the tree that leads each 32-bit value to the set of matches
// that spans name, on top of what s holds already. s is as it was when tree
// returns. The result is the root branch.
func tree(s *set, spans []span) uint32 {
	var deeper []span
	events := make([]event, 0, 2*len(spans))
	for _, sp := range spans {
		if sp.next != nil {
			deeper = append(deeper, sp)
			continue
		}
		events = append(events, event{sp.lo, sp.match})
		if sp.hi != 1<<32-1 {
			events = append(events, event{sp.hi + 1, sp.match})
		}
	}
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	slices.SortStableFunc(deeper, func(a, b span) int { return cmp.Compare(a.lo, b.lo) })

	w := walk{set: s, flips: make([]int, 0, len(events))}
	for w.more(events, deeper) {
		w.step(&events, &deeper)
	}
	for _, match := range w.flips {
		s.flip(match)
	}
	return branches(s.into, w.entries)
}

type event struct {
	at    uint32
	match int
}

// walk goes through the values where the set changes, in ascending order.
type walk struct {
	set     *set
	entries []uint64
	at      uint64
	started bool
	flips   []int // every flip, of which a second one undoes the first
}

func (w *walk) more(events []event, deeper []span) bool {
	return !w.started || len(events) > 0 || len(deeper) > 0
}

// step takes everything that happens at the next value.
func (w *walk) step(events *[]event, deeper *[]span) {
	at := uint64(1 << 32)
	if !w.started {
		at, w.started = 0, true
	}
	if len(*events) > 0 {
		at = min(at, uint64((*events)[0].at))
	}
	if len(*deeper) > 0 {
		at = min(at, uint64((*deeper)[0].lo))
	}
	for len(*events) > 0 && uint64((*events)[0].at) == at {
		w.flip((*events)[0].match)
		*events = (*events)[1:]
	}
	w.emit(at, bpf.WaymarkRefKindREF_SET, w.set.store())

	var group []span
	for len(*deeper) > 0 && uint64((*deeper)[0].lo) == at {
		group = append(group, rest((*deeper)[0]))
		*deeper = (*deeper)[1:]
	}
	if group == nil {
		return
	}
	after := w.set.store()
	w.emit(at, bpf.WaymarkRefKindREF_NEXT, tree(w.set, group))
	if at != 1<<32-1 && (len(*events) == 0 || uint64((*events)[0].at) != at+1) {
		w.emit(at+1, bpf.WaymarkRefKindREF_SET, after)
	}
}

func (w *walk) flip(match int) {
	w.set.flip(match)
	w.flips = append(w.flips, match)
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

// rest is what a deeper span names in the next word.
func rest(sp span) span {
	r := span{lo: sp.next[0], hi: sp.next[1], match: sp.match}
	if len(sp.next) > 2 {
		r.next = sp.next[2:]
	}
	return r
}

// branches stores sorted entries as a tree of branches and returns its root.
func branches(into *cells, entries []uint64) uint32 {
	for {
		var above []uint64
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
