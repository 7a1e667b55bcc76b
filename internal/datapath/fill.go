// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"github.com/cilium/ebpf"

	"waymark/bpf"
	"waymark/classes"
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
	if err := i.setLive(1 - live); err != nil {
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
	if err := i.build(next, table, scan); err != nil {
		return err
	}
	if err := i.putLines(next, p); err != nil {
		return fmt.Errorf("fill the lines of hits: %w", err)
	}
	if err := i.PutUplinks(p); err != nil {
		return fmt.Errorf("fill the uplinks: %w", err)
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
	live, err := i.live()
	if err != nil {
		return err
	}
	i.endWait()
	return i.setLive(1 - live)
}

// Retire frees the version that is not in force, once no program can be
// reading it, and forgets the numbers that are in none of the plan's blocks.
func (i *Instance) Retire(p *plan.Plan) error {
	if err := i.Discard(); err != nil {
		return err
	}
	if err := i.settleLines(); err != nil {
		return fmt.Errorf("add up the hits: %w", err)
	}
	return i.forgetNumbers(p)
}

// CgroupIDs are the cgroups that either version of the table names.
func (i *Instance) CgroupIDs() (map[uint64]bool, error) {
	ids := map[uint64]bool{}
	for version := range uint32(2) {
		var inner ebpf.MapID
		if err := i.maps.Cgroups.Lookup(version, &inner); err != nil {
			continue // it was never filled, or is retired
		}
		m, err := ebpf.NewMapFromID(inner)
		if err != nil {
			return nil, fmt.Errorf("read the table of cgroups: %w", err)
		}
		var id uint64
		var set uint32
		entries := m.Iterate()
		for entries.Next(&id, &set) {
			ids[id] = true
		}
		m.Close()
		if err := entries.Err(); err != nil {
			return nil, fmt.Errorf("read the table of cgroups: %w", err)
		}
	}
	return ids, nil
}

func (i *Instance) live() (version uint32, err error) {
	if err := i.maps.Live.Lookup(uint32(0), &version); err != nil {
		return 0, fmt.Errorf("read which version is live: %w", err)
	}
	return version & 1, nil
}

func (i *Instance) setLive(version uint32) error {
	if err := i.maps.Live.Put(uint32(0), version); err != nil {
		return fmt.Errorf("publish version %d: %w", version, err)
	}
	return nil
}

// inner makes an inner map of the outer map's declared shape, with room for
// n entries.
func (i *Instance) inner(outer string, n int) (*ebpf.Map, error) {
	spec, err := i.spec()
	if err != nil {
		return nil, err
	}
	inner := spec.Maps[outer].InnerMap
	inner.MaxEntries = uint32(max(1, n))
	return ebpf.NewMap(inner)
}

func (i *Instance) putTable(version uint32, t *match.Table) error {
	m, err := i.inner(bpf.WaymarkMapTables, len(t.Cells))
	if err != nil {
		return err
	}
	defer m.Close()
	keys := make([]uint32, len(t.Cells))
	for k := range keys {
		keys[k] = uint32(k)
	}
	if _, err := m.BatchUpdate(keys, t.Cells, nil); err != nil {
		return err
	}
	// Nobody writes into it from here on, root or not.
	if err := m.Freeze(); err != nil {
		return fmt.Errorf("freeze it: %w", err)
	}
	return i.maps.Tables.Put(version, m)
}

// PutUplinks writes the entry of every uplink.
func (i *Instance) PutUplinks(p *plan.Plan) error {
	for _, u := range p.Uplinks {
		if err := i.maps.Uplinks.Put(uint32(u.Number), uplinkEntry(u)); err != nil {
			return err
		}
	}
	return nil
}

func uplinkEntry(u plan.Uplink) bpf.WaymarkUplinkEntry {
	entry := bpf.WaymarkUplinkEntry{Ifindex: uint32(u.Index), Table: u.Table, LinkHeader: linkHeader(net.InterfaceByIndex(u.Index))}
	if u.Up && u.Withdrawn == "" {
		entry.Flags |= uint32(bpf.WaymarkUplinkFlagsUPLINK_USABLE)
	}
	if u.Withdrawn != "" {
		entry.Flags |= uint32(bpf.WaymarkUplinkFlagsUPLINK_WITHDRAWN)
	}
	if a := address(u, plan.IPv4); a != nil {
		entry.Source4 = binary.NativeEndian.Uint32(a)
	}
	if a := address(u, plan.IPv6); a != nil {
		for w := range entry.Source6 {
			entry.Source6[w] = binary.NativeEndian.Uint32(a[4*w:])
		}
	}
	return entry
}

// address is the uplink's source in network byte order, nil for none that
// can be used.
func address(u plan.Uplink, family plan.Family) []byte {
	if a := u.Sources[family]; a.IsValid() && u.Families[family] && a != (netip.Prefix{}) {
		return a.Addr().AsSlice()
	}
	return nil
}

// putInside writes main's own prefixes.
func (i *Instance) putInside(p *plan.Plan) error {
	for k, entry := range insideEntries(p) {
		if err := i.maps.Inside.Put(uint32(k), entry); err != nil {
			return err
		}
	}
	return nil
}

// insideEntries are all there is room for. More prefixes than that are one
// that holds everything: then nothing is refused.
func insideEntries(p *plan.Plan) []bpf.WaymarkInsidePrefix {
	entries, prefixes := make([]bpf.WaymarkInsidePrefix, bpf.WaymarkLimitsMAX_INSIDE), p.Inside
	if len(prefixes) > len(entries) {
		prefixes = []netip.Prefix{netip.MustParsePrefix("::/1"), netip.MustParsePrefix("8000::/1")}
	}
	for k, prefix := range prefixes {
		entries[k] = insidePrefix(prefix)
		if _, found := slices.BinarySearchFunc(p.ByMain, prefix, netip.Prefix.Compare); found {
			entries[k].ByMain = 1
		}
	}
	return entries
}

func insidePrefix(p netip.Prefix) (entry bpf.WaymarkInsidePrefix) {
	a := p.Addr().As16()
	entry.Bits = uint32(p.Bits() + 128 - p.Addr().BitLen())
	for w := range entry.Prefix.Word {
		entry.Prefix.Word[w] = binary.BigEndian.Uint32(a[4*w:])
	}
	return entry
}

// wholeMarks are those that are in the map, ascending.
func (i *Instance) wholeMarks() (marks []uint32, err error) {
	var mark uint32
	var one uint8
	entries := i.maps.WholeMarks.Iterate()
	for entries.Next(&mark, &one) {
		marks = append(marks, mark)
	}
	slices.Sort(marks)
	return marks, entries.Err()
}

func (i *Instance) putWholeMarks(p *plan.Plan) error {
	marks, err := i.wholeMarks()
	if err != nil {
		return err
	}
	for _, mark := range marks {
		if slices.Contains(p.WholeMarks, mark) {
			continue
		}
		if err := i.maps.WholeMarks.Delete(mark); err != nil {
			return err
		}
	}
	for _, mark := range p.WholeMarks {
		if err := i.maps.WholeMarks.Put(mark, uint8(1)); err != nil {
			return err
		}
	}
	return nil
}

// PutClasses writes the entry of every number that has a class, and of 0, and
// what is not to be counted. Entries of other numbers stay: open sockets may
// carry them.
func (i *Instance) PutClasses(p *plan.Plan) error {
	numbers, entries := classEntries(p)
	if _, err := i.maps.Classes.BatchUpdate(numbers, entries, nil); err != nil {
		return err
	}
	return i.maps.Switches.Put(uint32(0), switchedOff(p.Off))
}

func classEntries(p *plan.Plan) (numbers []uint32, entries []bpf.WaymarkClassEntry) {
	none := bpf.WaymarkClassEntry{Uplinks: ^uint64(0), Flags: uint16(bpf.WaymarkClassFlagsCLASS_IN_USE | bpf.WaymarkClassFlagsCLASS_ANYWHERE)}
	if p.Main >= 0 {
		none.Hops, none.Route[0] = 1, uint8(p.Main)
	}
	numbers, entries = []uint32{0}, []bpf.WaymarkClassEntry{none}
	for _, c := range p.Classes {
		numbers, entries = append(numbers, c.Number), append(entries, classEntry(p, c))
	}
	for _, a := range p.Answers {
		numbers, entries = append(numbers, p.Mask.Gather(a.Mark)), append(entries, answerEntry(p, a))
	}
	return numbers, entries
}

// switches are the groups as the programs know them.
var switches = map[classes.Group]bpf.WaymarkTelemetryOff{
	classes.GroupRTT:     bpf.WaymarkTelemetryOffOFF_RTT,
	classes.GroupConnect: bpf.WaymarkTelemetryOffOFF_CONNECT,
	classes.GroupQueue:   bpf.WaymarkTelemetryOffOFF_QUEUE,
	classes.GroupDrops:   bpf.WaymarkTelemetryOffOFF_DROPS,
	classes.GroupHits:    bpf.WaymarkTelemetryOffOFF_HITS,
	classes.GroupSends:   bpf.WaymarkTelemetryOffOFF_SENDS,
}

// switchedOff is what is not counted, in bits.
func switchedOff(off []classes.Group) (bits uint32) {
	for _, g := range off {
		bits |= uint32(switches[g])
	}
	return bits
}

// refusals are the errors with which the kernel's own rules refuse.
var refusals = map[classes.Otherwise]syscall.Errno{
	classes.OtherwiseUnreachable: syscall.ENETUNREACH,
	classes.OtherwiseProhibit:    syscall.EACCES,
	classes.OtherwiseBlackhole:   syscall.EINVAL,
}

func classEntry(p *plan.Plan, c plan.Class) bpf.WaymarkClassEntry {
	e := bpf.WaymarkClassEntry{Slot: c.Slot, Flags: uint16(bpf.WaymarkClassFlagsCLASS_IN_USE)}
	if c.Route.Weights != nil {
		e.Flags |= uint16(bpf.WaymarkClassFlagsCLASS_BALANCED)
	}
	if c.Route.Otherwise != classes.OtherwiseMain {
		e.Flags |= uint16(bpf.WaymarkClassFlagsCLASS_NO_LEAK)
		e.Refusal = uint8(refusals[c.Route.Otherwise])
	}
	if c.Route.Strict {
		e.Flags |= uint16(bpf.WaymarkClassFlagsCLASS_STRICT)
	}
	switch c.Fate {
	case classes.FateMove:
		e.Flags |= uint16(bpf.WaymarkClassFlagsCLASS_MOVES)
	case classes.FateReset:
		e.Flags |= uint16(bpf.WaymarkClassFlagsCLASS_RESETS)
	}
	for _, name := range c.Route.Uplinks {
		n := p.UplinkNamed(name).Number
		e.Uplinks |= 1 << n
		if int(e.Hops) < len(e.Route) {
			e.Route[e.Hops] = uint8(n)
			e.Hops++
		}
	}
	return e
}

// answerEntry is of the number that answers have: their class is in the packet.
func answerEntry(p *plan.Plan, a plan.Answer) bpf.WaymarkClassEntry {
	k := slices.IndexFunc(p.Uplinks, func(u plan.Uplink) bool { return u.Interface == a.Interface })
	n := p.Uplinks[k].Number
	return bpf.WaymarkClassEntry{Uplinks: 1 << n, Hops: 1, Route: [bpf.WaymarkLimitsMAX_ROUTE]uint8{uint8(n)},
		Flags:   uint16(bpf.WaymarkClassFlagsCLASS_IN_USE | bpf.WaymarkClassFlagsCLASS_NO_LEAK | bpf.WaymarkClassFlagsCLASS_ANSWERS),
		Refusal: uint8(refusals[classes.OtherwiseUnreachable])}
}

func (i *Instance) forgetNumbers(p *plan.Plan) error {
	kept := map[uint32]bool{0: true}
	for _, a := range p.Answers {
		kept[p.Mask.Gather(a.Mark)] = true
	}
	for _, b := range p.Blocks {
		for n := b.First; n < b.First+b.Size; n++ {
			kept[n] = true
		}
	}
	var number uint32
	var entry bpf.WaymarkClassEntry
	for entries := i.maps.Classes.Iterate(); entries.Next(&number, &entry); {
		if !kept[number] && entry.Flags != 0 {
			if err := i.maps.Classes.Put(number, bpf.WaymarkClassEntry{}); err != nil {
				return err
			}
		}
	}
	return nil
}
