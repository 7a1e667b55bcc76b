// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"

	"github.com/cilium/ebpf"

	"waymark/bpf"
)

// octave is the buckets of one octave of seconds.
const (
	octave        = int(bpf.WaymarkTimeLimitsOCTAVE_PARTS)
	highestOctave = int(bpf.WaymarkTimeLimitsHIGHEST_OCTAVE)
	timeSchema    = 3 // octave is 2 to its power
)

// lowestOctaves are where the histograms of each kind begin; what is shorter
// is in the first bucket: 16 µs for what goes over a network.
var lowestOctaves = map[bpf.WaymarkTimeKind]int{
	bpf.WaymarkTimeKindTIME_RTT:     -16,
	bpf.WaymarkTimeKindTIME_CONNECT: -16,
	bpf.WaymarkTimeKindTIME_QUEUE:   int(bpf.WaymarkTimeLimitsLOWEST_OCTAVE),
	bpf.WaymarkTimeKindTIME_TURN:    -16,

	bpf.WaymarkTimeKindTIME_TURN_SUM: highestOctave, // no histogram: one number
}

// series is one histogram's name.
type series struct {
	slot   uint32
	uplink uint8
	kind   bpf.WaymarkTimeKind
}

// times are all histograms, as they were last read.
type times struct {
	keys    []bpf.WaymarkTimeKey
	values  []bpf.WaymarkTimeOctave
	places  map[series]int // in all, of those that were ever met
	all     []counted
	entries int
}

// counted is one histogram's buckets, and their sum.
type counted struct {
	buckets []uint64
	count   uint64
}

func newTimes() times {
	const batch = 4096
	return times{make([]bpf.WaymarkTimeKey, batch), make([]bpf.WaymarkTimeOctave, batch), map[series]int{}, nil, 0}
}

func (t *times) read(m *ebpf.Map) error {
	t.renew()
	t.entries = 0
	if m == nil {
		return nil // of a build that has none
	}
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, t.keys, t.values, nil)
		for k, key := range t.keys[:n] {
			t.add(key, &t.values[k].Count)
		}
		t.entries += n
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// renew begins all histograms anew, in memory of their own: those of the
// reading before are somebody's. It is one piece, for they are many.
func (t *times) renew() {
	size := 0
	for _, c := range t.all {
		size += len(c.buckets)
	}
	memory := make([]uint64, size)
	for k := range t.all {
		n := len(t.all[k].buckets)
		t.all[k], memory = counted{buckets: memory[:n:n]}, memory[n:]
	}
}

func (t *times) add(key bpf.WaymarkTimeKey, count *[octave]uint64) {
	s := series{key.Slot, key.Uplink, bpf.WaymarkTimeKind(key.Kind)}
	lowest, known := lowestOctaves[s.kind]
	if !known {
		return // a newer build's, of which this one knows nothing
	}
	place, met := t.places[s]
	if !met {
		place = len(t.all)
		t.places[s] = place
		t.all = append(t.all, counted{buckets: make([]uint64, (highestOctave-lowest+1)*octave)})
	}
	c := &t.all[place]
	first := (int(key.Octave) + int(bpf.WaymarkTimeLimitsLOWEST_OCTAVE) - lowest) * octave
	for part, n := range count {
		c.buckets[min(max(0, first+part), len(c.buckets)-1)] += n
		c.count += n
	}
}

// histogram is one of them, whose times add up to a sum of nanoseconds.
func (t *times) histogram(slot uint32, uplink int, kind bpf.WaymarkTimeKind, sum uint64) Histogram {
	place, met := t.places[series{slot, uint8(uplink), kind}]
	if !met || t.all[place].count == 0 {
		return Histogram{}
	}
	return Histogram{Schema: timeSchema, First: int32(lowestOctaves[kind]*octave + 1), Buckets: t.all[place].buckets,
		Count: t.all[place].count, Sum: float64(sum) / 1e9}
}
