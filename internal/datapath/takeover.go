// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"

	"github.com/cilium/ebpf"

	"waymark/bpf"
)

// TakeOver prepares two instances for the moment in which both are attached,
// before the newer one's programs are: they take the older one's bits off
// every socket they mark, and neither instance drops or mends a packet by a
// number that may be the other's. Undo gives the older one its judgement
// back; for the newer one, PutClasses does, once it is alone.
func (i *Instance) TakeOver(older *Instance) error {
	i.retired = older.settings.Mask
	if err := older.judge(false); err != nil {
		return err
	}
	return i.judge(false)
}

// Inherit gives an instance that was just published the table of the one it
// takes over from as the version before, for a walk to compare. Both must
// have the same mask and the same programs.
func (i *Instance) Inherit(older *Instance) error {
	from, err := older.live()
	if err != nil {
		return err
	}
	to, err := i.live()
	if err != nil {
		return err
	}
	for _, m := range [][2]*ebpf.Map{{older.maps.Tables, i.maps.Tables}, {older.maps.Cgroups, i.maps.Cgroups}} {
		var id ebpf.MapID
		if err := m[0].Lookup(from, &id); err != nil {
			return fmt.Errorf("inherit the table: %w", err)
		}
		inner, err := ebpf.NewMapFromID(id)
		if err != nil {
			return fmt.Errorf("inherit the table: %w", err)
		}
		err = m[1].Put(1-to, inner)
		inner.Close()
		if err != nil {
			return fmt.Errorf("inherit the table: %w", err)
		}
	}
	return nil
}

// Undo is TakeOver, undone: the older instance stays.
func (i *Instance) Undo(older *Instance) error { return older.judge(true) }

// judge says of every class whether it matters by which uplink it leaves.
func (i *Instance) judge(strictly bool) error {
	const anywhere = uint16(bpf.WaymarkClassFlagsCLASS_ANYWHERE)
	var number uint32
	var entry bpf.WaymarkClassEntry
	var numbers []uint32
	var entries []bpf.WaymarkClassEntry
	all := i.maps.Classes.Iterate()
	for all.Next(&number, &entry) {
		if number == 0 || entry.Flags&uint16(bpf.WaymarkClassFlagsCLASS_IN_USE) == 0 {
			continue
		}
		entry.Flags |= anywhere
		if strictly {
			entry.Flags &^= anywhere
		}
		numbers, entries = append(numbers, number), append(entries, entry)
	}
	if err := all.Err(); err != nil {
		return fmt.Errorf("read the classes: %w", err)
	}
	if len(numbers) == 0 {
		return nil
	}
	if _, err := i.maps.Classes.BatchUpdate(numbers, entries, nil); err != nil {
		return fmt.Errorf("change the classes: %w", err)
	}
	return nil
}
