// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"

	"waymark/bpf"
	"waymark/classes"
	"waymark/internal/plan"
)

// TakeOver prepares two instances for the moment in which both are attached,
// before the newer one's programs are: they take the older one's bits off
// every socket they mark, and neither instance drops or mends a packet by a
// number that may be the other's; the newer one counts nothing at tracepoints. From then on Attach gives the older one's
// links the newer one's programs: each packet meets one of the two, and none
// meets neither. Undo gives the older one its judgement back; for the newer
// one, PutClasses does, once it is alone.
func (i *Instance) TakeOver(older *Instance) error {
	i.retired, i.older = older.settings.Mask, older
	if err := i.share(older); err != nil {
		return err
	}
	if err := older.judge(false); err != nil {
		return err
	}
	// What is at a tracepoint has the older one's program beside ours.
	if err := i.maps.Switches.Put(uint32(0), switchedOff([]classes.Group{classes.GroupDrops, classes.GroupQueue})); err != nil {
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

// share has both instances use the older one's memory of sockets, peers and
// times, where it means the same to both.
func (i *Instance) share(older *Instance) error {
	specs, err := i.mapSpecs()
	if err != nil {
		return err
	}
	names := []string{bpf.WaymarkMapTimes, bpf.WaymarkMapBorrowed, bpf.WaymarkMapConnecting, bpf.WaymarkMapDrops, bpf.WaymarkMapTurns, bpf.WaymarkMapIncoming, bpf.WaymarkMapIncomingTold}
	if i.settings.Mask == older.settings.Mask {
		names = append(names, bpf.WaymarkMapNotes, bpf.WaymarkMapArrivals, bpf.WaymarkMapEndings)
	}
	for _, name := range names {
		theirs, ours := *older.fields()[name], i.fields()[name]
		if theirs == nil || specs[name].Compatible(theirs) != nil {
			continue
		}
		pin := filepath.Join(i.dir, name)
		if err := errors.Join(os.Remove(pin), os.Link(filepath.Join(older.dir, name), pin)); err != nil {
			return fmt.Errorf("share map %s: %w", name, err)
		}
		shared, err := theirs.Clone()
		if err != nil {
			return fmt.Errorf("share map %s: %w", name, err)
		}
		(*ours).Close()
		*ours = shared
	}
	return nil
}

// succeed makes an older instance's link in a hook's place this instance's
// too. (A filter of a clsact stays the older one's; ours goes beside it.)
func (i *Instance) succeed(h plan.Hook) error {
	if i.older == nil || !i.older.attachedAt(h) {
		return nil
	}
	l, err := link.LoadPinnedLink(i.older.pin(h), nil)
	if err != nil {
		return nil
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return fmt.Errorf("read link %s: %w", i.older.pin(h), err)
	}
	program, err := ebpf.NewProgramFromID(info.Program)
	if err != nil {
		return fmt.Errorf("open the program of link %s: %w", i.older.pin(h), err)
	}
	if err := os.Link(i.older.pin(h), i.pin(h)); err != nil {
		program.Close()
		return fmt.Errorf("pin %s: %w", i.pin(h), err)
	}
	if i.replaced == nil {
		i.replaced = map[string]*ebpf.Program{}
	}
	i.replaced[h.Pin] = program
	return nil
}

// Succeeded tells whether the instance pinned in one directory counts in the
// place of that in another: they have a hook at an uplink in common.
func Succeeded(dir, older string) bool {
	entries, _ := os.ReadDir(dir)
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		if h, ok := pinned(e.Name()); !ok || h.Program != plan.EgressProgram {
			return false
		}
		theirs, err := os.Stat(filepath.Join(older, e.Name()))
		ours, ourErr := os.Stat(filepath.Join(dir, e.Name()))
		return err == nil && ourErr == nil && os.SameFile(theirs, ours)
	})
}

// GiveBack is Attach, undone: the link of an older instance gets that one's
// program again, any other goes.
func (i *Instance) GiveBack(h plan.Hook) error {
	if program := i.replaced[h.Pin]; program != nil {
		if err := i.update(h, program); err != nil {
			return err
		}
	}
	return i.Detach(h)
}

// Undo is TakeOver, undone: the older instance stays, and has what was
// counted in its place.
func (i *Instance) Undo(older *Instance) error {
	return errors.Join(older.judge(true), i.CarryBack(older))
}

// judge says of every class whether it matters by which uplink it leaves.
func (i *Instance) judge(strictly bool) error {
	if i.maps.Classes == nil {
		return nil
	}
	at, ok := flagsAt(i.maps.Classes)
	if !ok {
		return nil // of a build that we know nothing of
	}
	entries, err := i.inUse(at)
	if err != nil {
		return fmt.Errorf("read the classes: %w", err)
	}
	for number, entry := range entries {
		flags := binary.NativeEndian.Uint16(entry[at:]) | uint16(bpf.WaymarkClassFlagsCLASS_ANYWHERE)
		if strictly {
			flags &^= uint16(bpf.WaymarkClassFlagsCLASS_ANYWHERE)
		}
		binary.NativeEndian.PutUint16(entry[at:], flags)
		if err := i.maps.Classes.Put(number, entry); err != nil {
			return fmt.Errorf("change the classes: %w", err)
		}
	}
	return nil
}

// inUse are the entries of the numbers that have a class, as bytes, with
// their flags at an offset.
func (i *Instance) inUse(at int) (map[uint32][]byte, error) {
	used := map[uint32][]byte{}
	var number uint32
	var entry []byte
	entries := i.maps.Classes.Iterate()
	for entries.Next(&number, &entry) {
		if number != 0 && binary.NativeEndian.Uint16(entry[at:])&uint16(bpf.WaymarkClassFlagsCLASS_IN_USE) != 0 {
			used[number] = slices.Clone(entry)
		}
	}
	return used, entries.Err()
}

// flagsAt is where the entries of a map of classes, of any build, have their flags.
func flagsAt(classes *ebpf.Map) (int, bool) {
	entry := valueType[*btf.Struct](classes, "class_entry")
	if entry == nil {
		return 0, false
	}
	flags, ok := member(entry, "flags")
	return int(flags.Offset.Bytes()), ok && sizeOf(flags) == 2
}
