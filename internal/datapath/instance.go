// SPDX-License-Identifier: Apache-2.0

// Package datapath owns the BPF objects: create, open, upgrade, attach,
// fill, read, remove.
package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"waymark/bpf"
	"waymark/internal/plan"
)

// Settings are what an instance cannot change while it lives: the programs
// are verified with them as constants, and the maps are sized by them.
type Settings struct {
	Mask        plan.Mask `json:"mask"`
	NetnsCookie uint64    `json:"netnsCookie"` // SO_NETNS_COOKIE; sockets of other namespaces are left alone
	Slots       uint32    `json:"slots"`       // lines of counters, the first for what is unclassed
	UplinkLimit uint32    `json:"uplinkLimit"` // uplinks that there can be
}

// Room is given out in steps: another instance that takes over costs more than
// a few lines that nobody uses, but each of these is there on every CPU.
const (
	slotStep   = 64
	uplinkStep = 4
)

// SettingsFor are settings with room for a plan and its next ones.
func SettingsFor(p *plan.Plan, netnsCookie uint64) Settings {
	slots, limit := uint32(1), uint32(1)
	for _, s := range p.Numbers.Slots {
		slots = max(slots, s+1)
	}
	for _, n := range p.Numbers.Uplinks {
		limit = max(limit, uint32(n)+1)
	}
	return Settings{Mask: p.Mask, NetnsCookie: netnsCookie,
		Slots: min(plan.MostSlots, upTo(slotStep, slots+slots/4)), UplinkLimit: upTo(uplinkStep, limit)}
}

// upTo is the next multiple of a step.
func upTo(step, n uint32) uint32 { return (n + step - 1) / step * step }

// Hold tells whether an instance with these settings can carry a plan.
func (s Settings) Hold(p *plan.Plan, netnsCookie uint64) bool {
	need := SettingsFor(p, netnsCookie)
	for _, slot := range p.Numbers.Slots {
		if slot >= s.Slots {
			return false
		}
	}
	return s.Mask == need.Mask && s.NetnsCookie == netnsCookie && need.UplinkLimit <= s.UplinkLimit
}

// Instance is the BPF objects of one network namespace. Its directory is
// where its maps and links are pinned; they live as long as the pins do.
type Instance struct {
	dir      string
	settings Settings
	told     []byte    // the memory of maps.IncomingTold, once it was asked for
	retired  plan.Mask // of the instance that this one takes over from
	maps     bpf.WaymarkMaps
	runs     []run                    // where another build's lines of counters have our fields; nil: where ours have
	older    *Instance                // that this one takes over from; nil for none
	waited   <-chan error             // the end of a wait for running programs; nil: none was begun
	replaced map[string]*ebpf.Program // the older one's programs by the pin of the hook that was taken over
}

// Create makes the maps of a new instance and pins them in dir, which must
// not exist. On error nothing is left.
func Create(dir string, s Settings) (*Instance, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	i := &Instance{dir: dir, settings: s}
	if err := i.create(); err != nil {
		i.Close()
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return i, nil
}

func (i *Instance) create() error {
	spec, err := i.spec()
	if err != nil {
		return err
	}
	spec.Variables = nil
	for name := range spec.Maps {
		if i.fields()[name] == nil {
			delete(spec.Maps, name) // constants, and what is a walk's own
		}
	}
	collection, err := ebpf.NewCollection(spec)
	if err != nil {
		return fmt.Errorf("create the BPF maps: %w", err)
	}
	defer collection.Close()
	for name, m := range i.fields() {
		*m = collection.DetachMap(name)
	}
	for name, m := range i.named() {
		if err := m.Pin(filepath.Join(i.dir, name)); err != nil {
			return fmt.Errorf("pin map %s in %s: %w", name, i.dir, err)
		}
	}
	return nil
}

// Open takes up the instance pinned in dir, which this build made. An error
// that is fs.ErrNotExist says that there is none.
func Open(dir string, s Settings) (*Instance, error) {
	i, err := open(dir, s)
	if err != nil {
		return nil, err
	}
	specs, err := i.mapSpecs()
	if err != nil {
		i.Close()
		return nil, err
	}
	for name, m := range i.fields() {
		err := error(os.ErrNotExist)
		if *m != nil {
			err = specs[name].Compatible(*m)
		}
		if err != nil {
			i.Close()
			return nil, fmt.Errorf("open map %s of %s: %v: the pins are damaged; `waymark down` removes them", name, dir, err)
		}
	}
	return i, nil
}

// OpenOther takes up the instance pinned in dir, which any build made: its
// maps may be others, and otherwise. It can be read, and taken over from. An
// error that is fs.ErrNotExist says that there is none.
func OpenOther(dir string, s Settings) (*Instance, error) {
	i, err := open(dir, s)
	if err == nil && i.maps.Counters != nil {
		if i.runs, err = runsOf(i.maps.Counters); err != nil {
			i.Close()
		}
	}
	return i, err
}

// open opens those maps that are there.
func open(dir string, s Settings) (*Instance, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	i := &Instance{dir: dir, settings: s}
	for name, m := range i.fields() {
		opened, err := ebpf.LoadPinnedMap(filepath.Join(dir, name), nil)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			i.Close()
			return nil, fmt.Errorf("open map %s of %s: %v: the pins are damaged; `waymark down` removes them", name, dir, err)
		}
		*m = opened
	}
	return i, nil
}

// Dir is the directory the instance is pinned in.
func (i *Instance) Dir() string { return i.dir }

// Rename moves the instance's directory; its objects do not notice.
func (i *Instance) Rename(dir string) error {
	if err := os.Rename(i.dir, dir); err != nil {
		return err
	}
	i.dir = dir
	return nil
}

// Close lets go of the instance without changing it.
func (i *Instance) Close() {
	_ = i.endWait() // who needed it would have asked
	for _, m := range i.named() {
		m.Close()
	}
	for _, p := range i.replaced {
		p.Close()
	}
	if i.told != nil {
		_ = unix.Munmap(i.told)
	}
}

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
		specs[name] = m.Copy()
	}
	i.size(specs)
	return specs, nil
}

func (i *Instance) size(maps map[string]*ebpf.MapSpec) {
	maps[bpf.WaymarkMapClasses].MaxEntries = i.settings.Mask.Highest() + 1
	for _, name := range []string{bpf.WaymarkMapCounters, bpf.WaymarkMapEarlier} {
		maps[name].MaxEntries = i.settings.Slots * i.settings.UplinkLimit
	}
}

// fields are the places of the pinned maps, by name.
func (i *Instance) fields() map[string]**ebpf.Map {
	return map[string]**ebpf.Map{
		bpf.WaymarkMapCgroups:      &i.maps.Cgroups,
		bpf.WaymarkMapArmed:        &i.maps.Armed,
		bpf.WaymarkMapArrivals:     &i.maps.Arrivals,
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
		bpf.WaymarkMapNotes:        &i.maps.Notes,
		bpf.WaymarkMapLive:         &i.maps.Live,
		bpf.WaymarkMapPath:         &i.maps.Path,
		bpf.WaymarkMapQueue:        &i.maps.Queue,
		bpf.WaymarkMapSwitches:     &i.maps.Switches,
		bpf.WaymarkMapTables:       &i.maps.Tables,
		bpf.WaymarkMapTimes:        &i.maps.Times,
		bpf.WaymarkMapTurns:        &i.maps.Turns,
		bpf.WaymarkMapUplinks:      &i.maps.Uplinks,
		bpf.WaymarkMapWholeMarks:   &i.maps.WholeMarks,
	}
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
