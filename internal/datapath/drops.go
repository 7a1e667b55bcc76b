// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"cmp"
	"errors"
	"slices"

	"github.com/cilium/ebpf"

	"waymark/bpf"
)

// dropReader reads what the kernel dropped.
type dropReader struct {
	from      *ebpf.Map // nil where nothing counts them
	keys      []bpf.WaymarkDropKey
	counts    []uint64
	locations []uint64 // of the keys
	full      bool
}

func newDropReader(m *ebpf.Map) dropReader {
	if m == nil {
		return dropReader{}
	}
	n := m.MaxEntries()
	return dropReader{from: m, keys: make([]bpf.WaymarkDropKey, n), counts: make([]uint64, n), locations: make([]uint64, n)}
}

// read is all drops, by slot, reason and place.
func (d *dropReader) read() ([]Drops, error) {
	if d.from == nil {
		return nil, nil
	}
	var cursor ebpf.MapBatchCursor
	n, err := d.from.BatchLookup(&cursor, d.keys, d.counts, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil, err
	}
	d.full = n == len(d.keys)
	for k, key := range d.keys[:n] {
		d.locations[k] = key.Location
	}
	sums := map[Drops]uint64{}
	for k, place := range kernelFunctions(d.locations[:n]) {
		if place == "bpf_prog_test_run_skb" {
			continue // what a look at this host asked its programs
		}
		sums[Drops{Slot: d.keys[k].Slot, Reason: DropReason(d.keys[k].Reason), Place: place}] += d.counts[k]
	}
	drops := make([]Drops, 0, len(sums))
	for drop, packets := range sums {
		drop.Packets = packets
		drops = append(drops, drop)
	}
	slices.SortFunc(drops, func(a, b Drops) int {
		return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Place, b.Place))
	})
	return drops, nil
}
