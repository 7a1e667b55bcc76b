// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"waymark/bpf"
	"waymark/internal/match"
)

// Rearm enters the cgroups that scan finds into the version in force, and
// takes out those that are gone. It is for kernels without the tracepoints at
// which programs do so: elsewhere that version is frozen.
func (i *Instance) Rearm(scan Scan) error {
	live, err := i.live()
	if err != nil {
		return err
	}
	table, err := i.table(live)
	if err != nil {
		return err
	}
	there, err := scan(table)
	if err != nil {
		return err
	}
	cgroups, err := innerOf(i.maps.Cgroups, live)
	if err != nil {
		return fmt.Errorf("open the table of cgroups: %w", err)
	}
	defer cgroups.Close()
	if err := enter(cgroups, there); err != nil {
		return fmt.Errorf("fill the table of cgroups: %w", err)
	}
	return nil
}

// enter makes a map of cgroups hold these and no others.
func enter(cgroups *ebpf.Map, there map[uint64]uint32) error {
	var gone []uint64
	var id uint64
	var set uint32
	entries := cgroups.Iterate()
	for entries.Next(&id, &set) {
		if there[id] == set {
			delete(there, id)
		} else if _, is := there[id]; !is {
			gone = append(gone, id)
		}
	}
	err := entries.Err()
	for _, id := range gone {
		err = errors.Join(err, cgroups.Delete(id))
	}
	for id, set := range there {
		err = errors.Join(err, cgroups.Put(id, set))
	}
	return err
}

// table is a version as the kernel has it.
func (i *Instance) table(version uint32) (*match.Table, error) {
	inner, err := innerOf(i.maps.Tables, version)
	if err != nil {
		return nil, fmt.Errorf("open the table of matches: %w", err)
	}
	defer inner.Close()
	cells, err := entriesOf[bpf.WaymarkTableCell](inner)
	return &match.Table{Cells: cells}, err
}

// innerOf is the map that a map of maps has at a version; an error that is
// ebpf.ErrKeyNotExist says that it has none.
func innerOf(outer *ebpf.Map, version uint32) (*ebpf.Map, error) {
	var id ebpf.MapID
	if err := outer.Lookup(version, &id); err != nil {
		return nil, err
	}
	return ebpf.NewMapFromID(id)
}
