// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"

	"waymark/bpf"
	"waymark/internal/plan"
)

// Reader reads everything that is counted, again and again, in the memory
// of the reading before. It is for one goroutine.
type Reader struct {
	instance *Instance
	counters lines
	earlier  lines
	times    times
	won      hitReader
	hits     []uint64
	incoming incoming
	dropped  dropReader
	drops    []Drops
}

// lines are the first lines of a map of counters, of this build or another,
// each as often as the map has it.
type lines struct {
	from  *ebpf.Map // nil for none
	keys  []uint32
	into  any    // a slice of lines, whose size is the other build's, as the library wants it
	bytes []byte // its memory
	size  int    // bytes of one copy of a line
	each  int    // of all
}

// Reader is a reader of what a plan's classes and matches have counted. It tells of no
// match less than was told, which it goes on with.
func (i *Instance) Reader(p *plan.Plan, told Told) (*Reader, error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("read the counters: %w", err)
	}
	highest := uint32(0)
	for _, slot := range p.Numbers.Slots {
		highest = max(highest, slot)
	}
	n := int(min(highest+1, i.settings.Slots) * i.settings.UplinkLimit)
	ids := lineIDs(p)
	maps.DeleteFunc(told, func(id, _ uint64) bool { return !slices.Contains(ids, id) })
	return &Reader{instance: i, won: hitReader{instance: i, ids: ids, told: told}, counters: newLines(i.maps.Counters, n, cpus), earlier: newLines(i.maps.Earlier, n, 1), incoming: incoming{instance: i}, times: newTimes(i.settings.Slots, i.settings.UplinkLimit), dropped: newDropReader(i.maps.Drops)}, nil
}

func newLines(m *ebpf.Map, n, copies int) lines {
	if m == nil {
		return lines{}
	}
	size := int(m.ValueSize()+7) &^ 7
	into := reflect.MakeSlice(reflect.SliceOf(reflect.ArrayOf(size, reflect.TypeFor[byte]())), n*copies, n*copies)
	bytes := unsafe.Slice((*byte)(into.UnsafePointer()), n*copies*size)
	return lines{m, make([]uint32, n), into.Interface(), bytes, size, copies * size}
}

func (l *lines) read() error {
	var cursor ebpf.MapBatchCursor
	if l.from == nil {
		return nil
	}
	n, err := l.from.BatchLookup(&cursor, l.keys, l.into, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	if n < len(l.keys) {
		return fmt.Errorf("%d of %d lines are there", n, len(l.keys))
	}
	return nil
}

func (l *lines) addTo(sum *words, line int, i *Instance) {
	if l.from == nil {
		return
	}
	for value := l.bytes[line*l.each:][:l.each]; len(value) > 0; value = value[l.size:] {
		i.addTo(sum, value[:l.size])
	}
}

// Read takes a reading.
func (r *Reader) Read() (err error) {
	if err := r.incoming.begin(); err != nil {
		return fmt.Errorf("read what came in: %w", err)
	}
	if err := errors.Join(r.counters.read(), r.earlier.read()); err != nil {
		return fmt.Errorf("read the counters: %w", err)
	}
	if err := r.times.read(r.instance.maps.Times); err != nil {
		return fmt.Errorf("read the histograms: %w", err)
	}
	if r.hits, err = r.won.read(); err != nil {
		return fmt.Errorf("read the hits: %w", err)
	}
	if r.drops, err = r.dropped.read(); err != nil {
		return fmt.Errorf("read the drops: %w", err)
	}
	if err := r.incoming.end(); err != nil {
		return fmt.Errorf("read what came in: %w", err)
	}
	return nil
}

// Drops are what the kernel dropped, of classes that the plan has and of others.
func (r *Reader) Drops() []Drops { return r.drops }

// DropsFull tells whether there was no room for some of them.
func (r *Reader) DropsFull() bool { return r.dropped.full }

// Hits are how often each of the plan's matches won, in their order; of the
// first MostHits alone.
func (r *Reader) Hits() []uint64 { return r.hits }

// Full tells whether there was no room for some of the times.
func (r *Reader) Full() bool {
	return r.instance.maps.Times != nil && r.times.entries >= int(r.instance.maps.Times.MaxEntries())
}

// Tally is one line as it was last read. It stays as it is when the reader
// reads again.
func (r *Reader) Tally(slot uint32, uplink int) Tally {
	sum := words{}
	r.add(&sum, slot, uplink)
	x := (*bpf.WaymarkClassCounters)(unsafe.Pointer(&sum))
	t := tallyOf(x)
	if slot == 0 {
		t.Received.add(r.incoming.unclassed(uplink))
	}
	t.RTT = r.times.histogram(slot, uplink, bpf.WaymarkTimeKindTIME_RTT, x.RttNs)
	t.Connect = r.times.histogram(slot, uplink, bpf.WaymarkTimeKindTIME_CONNECT, x.ConnectNs)
	t.Queue = r.times.histogram(slot, uplink, bpf.WaymarkTimeKindTIME_QUEUE, x.QueueNs)
	return t
}

// Together are several classes' lines of several uplinks, without their times.
func (r *Reader) Together(slots []uint32, uplinks []int) Tally {
	sum := words{}
	for _, slot := range slots {
		for _, u := range uplinks {
			r.add(&sum, slot, u)
		}
	}
	return tallyOf((*bpf.WaymarkClassCounters)(unsafe.Pointer(&sum)))
}

func (r *Reader) add(sum *words, slot uint32, uplink int) {
	line := int(r.instance.lineOf(slot, uint32(uplink)))
	r.counters.addTo(sum, line, r.instance)
	r.earlier.addTo(sum, line, r.instance)
}

func tallyOf(x *bpf.WaymarkClassCounters) Tally {
	return Tally{
		Counters:      countersOf(x),
		Sent:          volumes(x.Packets, x.Bytes, x.Packets6, x.Bytes6),
		Received:      volumes(x.Received, x.ReceivedBytes, x.Received6, x.ReceivedBytes6),
		Segments:      x.Segments,
		Retransmitted: x.Retransmitted,
		Connections: Connections{
			Opened:      x.Opened,
			Accepted:    x.Accepted,
			Closed:      x.Closed,
			Refused:     x.RefusedConnects,
			Unreachable: x.Unreachable,
			TimedOut:    x.TimedOut,
			Failed:      x.Failed,
			Aborted:     x.Aborted,
			Lost:        x.Lost,
		},
		Moved:      x.Moved,
		Kept:       x.KeptSockets,
		Reset:      x.ResetSockets,
		SendErrors: x.SendErrors,
		Sends:      FailedSends{x.SendUnreachable, x.SendRefused, x.SendTooBig, x.SendNoBuffers, x.SendFailed},
	}
}

// volumes are the two families' of a whole and its IPv6 part. Each is read in
// its turn, while both grow.
func volumes(packets, bytes, packets6, bytes6 uint64) Volumes {
	return Volumes{
		IPv4: Volume{packets - min(packets, packets6), bytes - min(bytes, bytes6)},
		IPv6: Volume{packets6, bytes6},
	}
}
