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

// kinds is how many kinds of times there are.
const kinds = int(bpf.WaymarkTimeKindTIME_TURN_SUM) + 1

// lowestOctaves are where the histograms of each kind begin; what is shorter
// is in the first bucket: 16 µs for what goes over a network.
var lowestOctaves = [kinds]int{
	bpf.WaymarkTimeKindTIME_RTT:     -16,
	bpf.WaymarkTimeKindTIME_CONNECT: -16,
	bpf.WaymarkTimeKindTIME_QUEUE:   int(bpf.WaymarkTimeLimitsLOWEST_OCTAVE),
	bpf.WaymarkTimeKindTIME_TURN:    -16,

	bpf.WaymarkTimeKindTIME_TURN_SUM: highestOctave, // no histogram: one number
}

// times are all histograms, as they were last read.
type times struct {
	keys    []bpf.WaymarkTimeKey
	values  []bpf.WaymarkTimeOctave
	uplinks int
	places  []int32   // in all, by series; 0 of those that were never met
	all     []counted // the first is of none
	entries int
}

// counted is one histogram's buckets, and their sum.
type counted struct {
	buckets []uint64
	count   uint64
}

func newTimes(slots, uplinks uint32) times {
	const batch = 4096
	return times{make([]bpf.WaymarkTimeKey, batch), make([]bpf.WaymarkTimeOctave, batch), int(uplinks), make([]int32, int(slots*uplinks)*kinds), make([]counted, 1), 0}
}

// series is one histogram's number; -1: a newer build's, or of no line.
func (t *times) series(slot uint32, uplink, kind int) int {
	n := (int(slot)*t.uplinks+uplink)*kinds + kind
	if kind >= kinds || uplink >= t.uplinks || n >= len(t.places) {
		return -1
	}
	return n
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
	s := t.series(key.Slot, int(key.Uplink), int(key.Kind))
	if s < 0 {
		return
	}
	lowest, place := lowestOctaves[key.Kind], t.places[s]
	if place == 0 {
		place = int32(len(t.all))
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

// counted is one series; that of none where nothing was ever met.
func (t *times) counted(slot uint32, uplink int, kind bpf.WaymarkTimeKind) *counted {
	if n := t.series(slot, uplink, int(kind)); n >= 0 {
		return &t.all[t.places[n]]
	}
	return &t.all[0]
}

// histogram is one of them, whose times add up to a sum of nanoseconds.
func (t *times) histogram(slot uint32, uplink int, kind bpf.WaymarkTimeKind, sum uint64) Histogram {
	c := t.counted(slot, uplink, kind)
	if c.count == 0 {
		return Histogram{}
	}
	return Histogram{Schema: timeSchema, First: int32(lowestOctaves[kind]*octave + 1), Buckets: c.buckets, Count: c.count, Sum: float64(sum) / 1e9}
}
