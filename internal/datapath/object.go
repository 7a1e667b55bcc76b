// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/cilium/ebpf"

	"waymark/bpf"
)

// object is the built-in BPF object, read once.
var object = sync.OnceValues(bpf.LoadWaymark)

// Preload begins to read the built-in BPF object, which takes some milliseconds
// on a CPU that would be idle.
func Preload() {
	go func() { _, _ = object() }() // who needs it gets the error
}

// spec is the object's maps and those of its programs that are named, with this
// instance's constants and sizes.
func (i *Instance) spec(programs ...string) (*ebpf.CollectionSpec, error) {
	read, err := object()
	if err != nil {
		return nil, fmt.Errorf("read the built-in BPF object: %w", err)
	}
	part := *read
	part.Programs = map[string]*ebpf.ProgramSpec{}
	for _, name := range programs {
		part.Programs[name] = read.Programs[name]
	}
	spec := part.Copy()
	var runs [bpf.WaymarkLimitsMASK_RUNS]bpf.WaymarkMaskRun
	for k, r := range i.settings.Mask.Runs() {
		runs[k] = bpf.WaymarkMaskRun{Bits: r.Bits, Shift: r.Shift}
	}
	for name, value := range map[string]any{
		bpf.WaymarkVarMask:        uint32(i.settings.Mask),
		bpf.WaymarkVarRetiredMask: uint32(i.retired),
		bpf.WaymarkVarMaskRuns:    runs,
		bpf.WaymarkVarNetnsCookie: i.settings.NetnsCookie,
		bpf.WaymarkVarUplinkLimit: i.settings.UplinkLimit,

		bpf.WaymarkVarDropTellsSocket: truth(arguments("kfree_skb") >= 4),
		bpf.WaymarkVarQueuePurge:      dropReasonNamed("QUEUE_PURGE"),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("set %s in the BPF object: %w", name, err)
		}
	}
	i.size(spec.Maps)
	return spec, nil
}

// mapSpecs are the object's maps with this instance's sizes.
func (i *Instance) mapSpecs() (map[string]*ebpf.MapSpec, error) {
	read, err := object()
	if err != nil {
		return nil, fmt.Errorf("read the built-in BPF object: %w", err)
	}
	specs := make(map[string]*ebpf.MapSpec, len(read.Maps))
	for name, m := range read.Maps {
		sized := *m // what it points to stays as it is
		specs[name] = &sized
	}
	i.size(specs)
	return specs, nil
}

func (i *Instance) size(of map[string]*ebpf.MapSpec) {
	of[bpf.WaymarkMapClasses].MaxEntries = i.settings.Mask.Highest() + 1
	for _, name := range []string{bpf.WaymarkMapCounters, bpf.WaymarkMapEarlier} {
		of[name].MaxEntries = i.settings.Slots * i.settings.UplinkLimit
	}
}

// fields are the places of the pinned maps, by name.
func (i *Instance) fields() map[string]**ebpf.Map {
	return map[string]**ebpf.Map{
		bpf.WaymarkMapCgroups:      &i.maps.Cgroups,
		bpf.WaymarkMapArmed:        &i.maps.Armed,
		bpf.WaymarkMapArrivals:     &i.maps.Arrivals,
		bpf.WaymarkMapBorrowed:     &i.maps.Borrowed,
		bpf.WaymarkMapClasses:      &i.maps.Classes,
		bpf.WaymarkMapConnecting:   &i.maps.Connecting,
		bpf.WaymarkMapCounters:     &i.maps.Counters,
		bpf.WaymarkMapDecided:      &i.maps.Decided,
		bpf.WaymarkMapDrops:        &i.maps.Drops,
		bpf.WaymarkMapEarlier:      &i.maps.Earlier,
		bpf.WaymarkMapEndings:      &i.maps.Endings,
		bpf.WaymarkMapHits:         &i.maps.Hits,
		bpf.WaymarkMapIncoming:     &i.maps.Incoming,
		bpf.WaymarkMapIncomingTold: &i.maps.IncomingTold,
		bpf.WaymarkMapInside:       &i.maps.Inside,
		bpf.WaymarkMapFragments:    &i.maps.Fragments,
		bpf.WaymarkMapMatches:      &i.maps.Matches,
		bpf.WaymarkMapMicroflows:   &i.maps.Microflows,
		bpf.WaymarkMapNotes:        &i.maps.Notes,
		bpf.WaymarkMapLive:         &i.maps.Live,
		bpf.WaymarkMapPath:         &i.maps.Path,
		bpf.WaymarkMapPins:         &i.maps.Pins,
		bpf.WaymarkMapQueue:        &i.maps.Queue,
		bpf.WaymarkMapSent:         &i.maps.Sent,
		bpf.WaymarkMapSwitches:     &i.maps.Switches,
		bpf.WaymarkMapTables:       &i.maps.Tables,
		bpf.WaymarkMapTimes:        &i.maps.Times,
		bpf.WaymarkMapTurns:        &i.maps.Turns,
		bpf.WaymarkMapUplinks:      &i.maps.Uplinks,
		bpf.WaymarkMapWholeMarks:   &i.maps.WholeMarks,
	}
}

// these are the places of some maps, or of all.
func (i *Instance) these(some []string) map[string]**ebpf.Map {
	all := i.fields()
	if some != nil {
		maps.DeleteFunc(all, func(name string, _ **ebpf.Map) bool { return !slices.Contains(some, name) })
	}
	return all
}

func (i *Instance) named() map[string]*ebpf.Map {
	out := map[string]*ebpf.Map{}
	for name, m := range i.fields() {
		if *m != nil {
			out[name] = *m
		}
	}
	return out
}
