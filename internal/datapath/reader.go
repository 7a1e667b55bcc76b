// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"

	"waymark/bpf"
)

// Reader reads everything that is counted, again and again, in the memory
// of the reading before. It is for one goroutine.
type Reader struct {
	instance *Instance
	cpus     int
	keys     []uint32
	lines    []words // of each CPU, for each line
	earlier  []words
	times    times
}

// Reader is a reader of the lines below a slot.
func (i *Instance) Reader(slots uint32) (*Reader, error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("read the counters: %w", err)
	}
	n := int(min(slots, i.settings.Slots) * i.settings.UplinkLimit)
	return &Reader{instance: i, cpus: cpus, keys: make([]uint32, n), lines: make([]words, n*cpus), earlier: make([]words, n), times: newTimes()}, nil
}

// Read takes a reading.
func (r *Reader) Read() error {
	for _, m := range []struct {
		from *ebpf.Map
		to   []words
	}{{r.instance.maps.Counters, r.lines}, {r.instance.maps.Earlier, r.earlier}} {
		var cursor ebpf.MapBatchCursor
		if _, err := m.from.BatchLookup(&cursor, r.keys, m.to, nil); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read the counters: %w", err)
		}
	}
	if err := r.times.read(r.instance.maps.Times); err != nil {
		return fmt.Errorf("read the histograms: %w", err)
	}
	return nil
}

// Full tells whether there was no room for some of the times.
func (r *Reader) Full() bool { return r.times.entries >= int(r.instance.maps.Times.MaxEntries()) }

// Tally is one line as it was last read. It stays as it is when the reader
// reads again.
func (r *Reader) Tally(slot uint32, uplink int) Tally {
	line := int(r.instance.lineOf(slot, uint32(uplink)))
	sum := r.earlier[line]
	for cpu := range r.cpus {
		for w, n := range r.lines[line*r.cpus+cpu] {
			sum[w] += n
		}
	}
	x := (*bpf.WaymarkClassCounters)(unsafe.Pointer(&sum))
	t := tallyOf(x)
	t.RTT = r.times.histogram(slot, uplink, bpf.WaymarkTimeKindTIME_RTT, x.RttNs)
	t.Connect = r.times.histogram(slot, uplink, bpf.WaymarkTimeKindTIME_CONNECT, x.ConnectNs)
	t.Queue = r.times.histogram(slot, uplink, bpf.WaymarkTimeKindTIME_QUEUE, x.QueueNs)
	return t
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
