// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"

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
