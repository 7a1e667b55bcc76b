// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"waymark/bpf"
)

const wordsInLine = int(unsafe.Sizeof(bpf.WaymarkClassCounters{})) / 8

// words are a line of counters, as this build lays it out.
type words [wordsInLine]uint64

// run is a run of words that another build has at another place in a line.
type run struct{ ours, theirs, words int }

// Carry has an instance go on where an older one stopped counting. What the
// older one counts afterwards, Carry adds when it is called again; to call it
// once more than needed, or to be interrupted in it, does no harm.
func (i *Instance) Carry(older *Instance) error {
	if older.maps.Counters == nil || i.maps.Earlier == nil {
		return nil
	}
	if err := i.wait(); err != nil {
		return err
	}
	if err := i.carryHits(older); err != nil {
		return fmt.Errorf("take over the hits: %w", err)
	}
	return i.eachLine(older, func(line, theirLine uint32) error {
		sum, err := older.sum(theirLine, older.maps.Counters, older.maps.Earlier)
		if err != nil || sum == (words{}) {
			return err
		}
		have, err := i.sum(line, i.maps.Earlier)
		for w := range sum {
			have[w] = max(have[w], sum[w])
		}
		if err != nil {
			return err
		}
		return i.keep(line, have)
	})
}

// CarryBack gives an older instance what this one counted in its place, and
// adds it as often as it is called.
func (i *Instance) CarryBack(older *Instance) error {
	if older.maps.Earlier == nil {
		return nil // it is of a build that has no place for it
	}
	if err := i.wait(); err != nil {
		return err
	}
	return i.eachLine(older, func(line, theirLine uint32) error {
		sum, err := i.sum(line, i.maps.Counters)
		if err != nil || sum == (words{}) {
			return err
		}
		have, err := older.sum(theirLine, older.maps.Earlier)
		for w := range sum {
			have[w] += sum[w]
		}
		if err != nil {
			return err
		}
		return older.keep(theirLine, have)
	})
}

// eachLine goes through the lines that both instances have.
func (i *Instance) eachLine(older *Instance, do func(line, theirLine uint32) error) error {
	for slot := range min(i.settings.Slots, older.settings.Slots) {
		for uplink := range min(i.settings.UplinkLimit, older.settings.UplinkLimit) {
			if err := do(i.lineOf(slot, uplink), older.lineOf(slot, uplink)); err != nil {
				return fmt.Errorf("take over the counters: %w", err)
			}
		}
	}
	return nil
}

func (i *Instance) lineOf(slot, uplink uint32) uint32 { return slot*i.settings.UplinkLimit + uplink }

// sum adds up one line of some maps of counters, over all CPUs.
func (i *Instance) sum(line uint32, of ...*ebpf.Map) (sum words, err error) {
	for _, m := range of {
		if m == nil {
			continue
		}
		raw, err := m.LookupBytes(line)
		if err != nil {
			return sum, err
		}
		for size := int(m.ValueSize()+7) &^ 7; len(raw) >= size; raw = raw[size:] {
			i.addTo(&sum, raw[:size])
		}
	}
	return sum, nil
}

func (i *Instance) addTo(sum *words, value []byte) {
	if i.runs == nil && len(value) == 8*wordsInLine {
		for w, n := range (*words)(unsafe.Pointer(&value[0])) { // a scrape adds half a million
			sum[w] += n
		}
		return
	}
	i.eachWord(func(ours, theirs int) { sum[ours] += binary.NativeEndian.Uint64(value[theirs:]) })
}

// keep writes one line of what earlier instances counted.
func (i *Instance) keep(line uint32, sum words) error {
	value, err := i.maps.Earlier.LookupBytes(line)
	if err != nil {
		return err
	}
	i.eachWord(func(ours, theirs int) { binary.NativeEndian.PutUint64(value[theirs:], sum[ours]) })
	return i.maps.Earlier.Put(line, value)
}

// eachWord pairs the words of this build's lines with the offsets of the
// instance's.
func (i *Instance) eachWord(do func(ours, theirs int)) {
	runs := i.runs
	if runs == nil {
		runs = []run{{words: wordsInLine}}
	}
	for _, r := range runs {
		for w := range r.words {
			do(r.ours+w, 8*(r.theirs+w))
		}
	}
}

// runsOf finds our fields in a map of counters of another build, by name in
// the map's BTF; without it, by their place.
func runsOf(m *ebpf.Map) ([]run, error) {
	read, err := object()
	if err != nil {
		return nil, err
	}
	theirs := valueType[*btf.Struct](m, "class_counters")
	if theirs == nil {
		return []run{{words: min(wordsInLine, int(m.ValueSize())/8)}}, nil
	}
	runs := []run{}
	for _, ours := range read.Maps[bpf.WaymarkMapCounters].Value.(*btf.Struct).Members {
		if other, ok := member(theirs, ours.Name); ok {
			size := min(sizeOf(ours), sizeOf(other))
			runs = append(runs, run{int(ours.Offset.Bytes()) / 8, int(other.Offset.Bytes()) / 8, size / 8})
		}
	}
	return runs, nil
}

// valueType is a type in the BTF of a map's; nil if there is none of that name.
func valueType[T btf.Type](m *ebpf.Map, name string) (t T) {
	h, err := m.Handle()
	if err != nil {
		return t
	}
	defer h.Close()
	spec, err := h.Spec(nil)
	if err != nil {
		return t
	}
	_ = spec.TypeByName(name, &t) // the caller sees that it is nil
	return t
}

func member(s *btf.Struct, name string) (m btf.Member, ok bool) {
	for _, m := range s.Members {
		if m.Name == name {
			return m, true
		}
	}
	return m, false
}

func sizeOf(m btf.Member) int {
	size, err := btf.Sizeof(m.Type)
	if err != nil {
		return 0
	}
	return size
}
