// SPDX-License-Identifier: Apache-2.0

package match

import (
	"encoding/binary"

	"waymark/bpf"
)

// A Walk reads the path of a cgroup through a table, as the program does
// when the cgroup is made.
type Walk struct {
	table *Table
	ref   uint32 // what reads the next byte, with its kind
	text  uint32 // the next byte of a text cell
}

// Walk begins at the cgroup root.
func (t *Table) Walk() Walk {
	return Walk{table: t, ref: uint32(t.Cells[startCell].Word[1])}
}

// Over tells that no line can name anything from here on.
func (w Walk) Over() bool { return w.ref == 0 }

// Enter goes to the cgroup of a name below the last. set is its entry in the
// map of cgroups, 0 where it needs none, being like what it lies in.
func (w Walk) Enter(name string) (below Walk, set uint32) {
	for i := 0; i < len(name) && !w.Over(); i++ {
		w = w.read(name[i])
	}
	if w.Over() {
		return w, 0
	}
	return w.read('/'), w.read(0).ref
}

// read goes on by one byte. At a set the walk is over: it is what 0 leads to.
func (w Walk) read(b byte) Walk {
	for {
		cell := w.table.Cells[w.ref&uint32(bpf.WaymarkRefKindREF_CELL)]
		if bpf.WaymarkRefKind(w.ref>>bpf.WaymarkRefKindREF_KIND_SHIFT) == bpf.WaymarkRefKindREF_TEXT {
			length, bytes := textOf(cell)
			switch {
			case w.text < length && bytes[w.text] == b:
				w.text++
				return w
			case w.text < length:
				return Walk{table: w.table}
			}
			w.ref, w.text = uint32(cell.Word[0]), 0
			if isSet(w.ref) && b != 0 {
				w.ref = 0
			}
			if isSet(w.ref) {
				return w
			}
			continue
		}
		w.ref = entryFor(cell, b)
		if bpf.WaymarkRefKind(w.ref>>bpf.WaymarkRefKindREF_KIND_SHIFT) != bpf.WaymarkRefKindREF_BRANCH {
			return w
		}
	}
}

func isSet(ref uint32) bool {
	return bpf.WaymarkRefKind(ref>>bpf.WaymarkRefKindREF_KIND_SHIFT) == bpf.WaymarkRefKindREF_SET
}

// entryFor is the last entry of a branch whose key is not above a byte.
func entryFor(branch bpf.WaymarkTableCell, b byte) uint32 {
	entry := branch.Word[0]
	for _, e := range branch.Word {
		if e>>32 <= uint64(b) {
			entry = e
		}
	}
	return uint32(entry)
}

func textOf(x bpf.WaymarkTableCell) (length uint32, bytes []byte) {
	raw := make([]byte, 0, 64)
	for _, w := range x.Word {
		raw = binary.NativeEndian.AppendUint64(raw, w)
	}
	return uint32(raw[4]), raw[5:]
}
