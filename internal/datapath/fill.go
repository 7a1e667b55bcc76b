// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"waymark/bpf"
	"waymark/internal/match"
	"waymark/internal/plan"
)

// Publish puts a plan's matches, classes and uplinks into the maps, and in
// force: it is Prepare and Switch.
func (i *Instance) Publish(p *plan.Plan, table Compiled, scan Scan) error {
	if err := i.Prepare(p, table, scan); err != nil {
		return err
	}
	return i.Switch()
}

// Switch puts the prepared table in force, by one store: no packet sees a
// mix. Retract undoes it; Retire frees what it replaced.
func (i *Instance) Switch() error {
	live, err := i.live()
	if err != nil {
		return err
	}
	if err := i.goOn(live, 1-live); err != nil {
		return fmt.Errorf("fill the lines of hits: %w", err)
	}
	if err := i.flip(); err != nil {
		return err
	}
	i.beginWait()
	return nil
}

// Prepare puts a plan's classes and uplinks into the maps, and the table of
// its matches beside the one in force. Cgroups that are made meanwhile
// are armed in both versions, if the hooks that do it are attached; those there
// are, scan finds.
func (i *Instance) Prepare(p *plan.Plan, table Compiled, scan Scan) error {
	live, err := i.live()
	if err != nil {
		return err
	}
	next := 1 - live
	if err := both(func() error { return i.build(next, table, scan) }, func() error {
		if err := i.putLines(next, p); err != nil {
			return fmt.Errorf("fill the lines of hits: %w", err)
		}
		return nil
	}); err != nil {
		return err
	}
	if err := i.PutUplinks(p); err != nil {
		return fmt.Errorf("fill the uplinks: %w", err)
	}
	if err := i.putPins(p); err != nil {
		return fmt.Errorf("fill the uplinks' addresses: %w", err)
	}
	if err := i.putInside(p); err != nil {
		return fmt.Errorf("fill main's prefixes: %w", err)
	}
	if err := i.putWholeMarks(p); err != nil {
		return fmt.Errorf("fill the marks of others: %w", err)
	}
	if err := i.PutClasses(p); err != nil {
		return fmt.Errorf("fill the classes: %w", err)
	}
	return nil
}

// Rehearse puts a table beside the one in force, for a walk to ask. Discard
// removes it.
func (i *Instance) Rehearse(table Compiled, scan Scan) error {
	live, err := i.live()
	if err != nil {
		return err
	}
	return i.build(1-live, table, scan)
}

// Retract puts the version before the last Publish back in force.
func (i *Instance) Retract() error {
	i.endWait()
	return i.flip()
}

// Retire frees the version that is not in force, once no program can be
// reading it.
func (i *Instance) Retire() error {
	version, err := i.unread()
	if err != nil {
		return err
	}
	return both(func() error { return i.free(version) }, func() error {
		if err := i.settleLines(); err != nil {
			return fmt.Errorf("add up the hits: %w", err)
		}
		return nil
	})
}

// CgroupIDs are the cgroups that either version of the table names.
func (i *Instance) CgroupIDs() (map[uint64]bool, error) {
	ids := map[uint64]bool{}
	for version := range uint32(2) {
		var inner ebpf.MapID
		if err := i.maps.Cgroups.Lookup(version, &inner); err != nil {
			continue // it was never filled, or is retired
		}
		if err := addIDs(ids, inner); err != nil {
			return nil, fmt.Errorf("read the table of cgroups: %w", err)
		}
	}
	return ids, nil
}

// idsAtOnce is how many are read in one call.
const idsAtOnce = 4096

func addIDs(ids map[uint64]bool, of ebpf.MapID) error {
	m, err := ebpf.NewMapFromID(of)
	if err != nil {
		return err
	}
	defer m.Close()
	var cursor ebpf.MapBatchCursor
	keys, sets := make([]uint64, idsAtOnce), make([]uint32, idsAtOnce)
	for {
		n, err := m.BatchLookup(&cursor, keys, sets, nil)
		for _, id := range keys[:n] {
			ids[id] = true
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// live is the version that is in force.
func (i *Instance) live() (version uint32, err error) {
	generation, err := i.generation()
	return generation & 1, err
}

// generation is that of the table in force. Its lowest bit is the version.
func (i *Instance) generation() (generation uint32, err error) {
	if err := i.maps.Live.Lookup(uint32(0), &generation); err != nil {
		return 0, fmt.Errorf("read which version is live: %w", err)
	}
	return generation, nil
}

// flip puts the other version in force. No generation comes twice, for the programs
// remember what they found in each.
func (i *Instance) flip() error {
	generation, err := i.generation()
	if err != nil {
		return err
	}
	if err := i.maps.Live.Put(uint32(0), generation+1); err != nil {
		return fmt.Errorf("publish version %d: %w", (generation+1)&1, err)
	}
	return nil
}

// inner makes an inner map of the outer map's declared shape, with room for
// n entries.
func (i *Instance) inner(outer string, n int) (*ebpf.Map, error) {
	specs, err := i.mapSpecs()
	if err != nil {
		return nil, err
	}
	inner := specs[outer].InnerMap
	inner.MaxEntries = uint32(max(1, n))
	return ebpf.NewMap(inner)
}

func (i *Instance) putTable(version uint32, t *match.Table) error {
	m, err := i.inner(bpf.WaymarkMapTables, len(t.Cells))
	if err != nil {
		return err
	}
	defer m.Close()
	if err := inMemory(m, func(cells []bpf.WaymarkTableCell) { copy(cells, t.Cells) }); err != nil {
		return err
	}
	// Nobody writes into it from here on, root or not.
	if err := m.Freeze(); err != nil {
		return fmt.Errorf("freeze it: %w", err)
	}
	return i.maps.Tables.Put(version, m)
}
