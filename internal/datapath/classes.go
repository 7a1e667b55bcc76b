// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"slices"
	"syscall"

	"waymark/bpf"
	"waymark/classes"
	"waymark/internal/plan"
)

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

// ForgetNumbers forgets those that are in none of the plan's blocks.
func (i *Instance) ForgetNumbers(p *plan.Plan) error {
	kept := map[uint32]bool{0: true}
	for _, a := range p.Answers {
		kept[p.Mask.Gather(a.Mark)] = true
	}
	for _, b := range p.Blocks {
		for n := b.First; n < b.First+b.Size; n++ {
			kept[n] = true
		}
	}
	entries, err := entriesOf[bpf.WaymarkClassEntry](i.maps.Classes)
	for number, entry := range entries {
		if !kept[uint32(number)] && entry.Flags != 0 {
			err = errors.Join(err, i.maps.Classes.Put(uint32(number), bpf.WaymarkClassEntry{}))
		}
	}
	return err
}
