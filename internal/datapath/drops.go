// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"waymark/bpf"
)

// dropReader reads what the kernel dropped, and remembers what its numbers and
// addresses mean.
type dropReader struct {
	from    *ebpf.Map         // nil where nothing counts them
	reasons map[uint32]string // nil until one is needed
	places  map[uint64]string
	keys    []bpf.WaymarkDropKey
	counts  []uint64
}

func newDropReader(m *ebpf.Map) dropReader {
	d := dropReader{from: m, places: map[uint64]string{}}
	if m != nil {
		d.keys, d.counts = make([]bpf.WaymarkDropKey, m.MaxEntries()), make([]uint64, m.MaxEntries())
	}
	return d
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
	if err := d.learn(d.keys[:n]); err != nil {
		return nil, err
	}
	sums := map[Drops]uint64{}
	for k, key := range d.keys[:n] {
		if d.places[key.Location] == "bpf_prog_test_run_skb" {
			continue // what a look at this host asked its programs
		}
		sums[Drops{Slot: key.Slot, Reason: d.reason(key.Reason), Place: d.places[key.Location]}] += d.counts[k]
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

// reason is a number's name in the kernel, without what all begin with. That
// of a subsystem (openvswitch, mac80211) has none here.
func (d *dropReader) reason(number uint32) string {
	if name, ok := d.reasons[number]; ok {
		return name
	}
	return fmt.Sprintf("%#x", number)
}

// learn finds the names of what is new in some keys.
func (d *dropReader) learn(keys []bpf.WaymarkDropKey) (err error) {
	if len(keys) > 0 && d.reasons == nil {
		if d.reasons, err = dropReasons(); err != nil {
			return err
		}
	}
	var unknown []uint64
	for _, key := range keys {
		if _, known := d.places[key.Location]; !known {
			d.places[key.Location] = ""
			unknown = append(unknown, key.Location)
		}
	}
	if unknown == nil {
		return nil
	}
	symbols, err := os.Open("/proc/kallsyms")
	if errors.Is(err, os.ErrNotExist) {
		return nil // a kernel without it: places have no names
	}
	if err != nil {
		return err
	}
	defer symbols.Close()
	return nameFunctions(symbols, unknown, d.places)
}

func dropReasons() (map[uint32]string, error) {
	kernel, err := kernelTypes.Kernel()
	if err != nil {
		return nil, err
	}
	names := map[uint32]string{}
	var reasons *btf.Enum
	if kernel.TypeByName("skb_drop_reason", &reasons) != nil {
		return names, nil
	}
	for _, v := range reasons.Values {
		name, _ := strings.CutPrefix(v.Name, "SKB_DROP_REASON_")
		names[uint32(v.Value)] = name
	}
	return names, nil
}

// nameFunctions finds the functions that addresses are in, in a list as
// /proc/kallsyms is: the last that begins before. A list that hides its
// addresses names none.
func nameFunctions(list io.Reader, addresses []uint64, names map[uint64]string) error {
	begins := map[uint64]uint64{}
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 || !strings.Contains("tTwW", fields[1]) {
			continue
		}
		begin, err := strconv.ParseUint(fields[0], 16, 64)
		if err != nil || begin == 0 {
			continue
		}
		for _, a := range addresses {
			if begin <= a && begin > begins[a] {
				begins[a], names[a] = begin, fields[2]
			}
		}
	}
	return lines.Err()
}
