// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"cmp"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"

	"waymark/bpf"
	"waymark/internal/plan"
)

// PutUplinks writes the entry of every uplink.
func (i *Instance) PutUplinks(p *plan.Plan) error {
	for _, u := range p.Uplinks {
		entry := uplinkEntry(p, u)
		entry.LinkHeader = linkHeader(net.InterfaceByIndex(u.Index))
		if err := i.maps.Uplinks.Put(uint32(u.Number), entry); err != nil {
			return err
		}
	}
	return nil
}

// familyFlags say which families an uplink is a way for.
var familyFlags = map[plan.Family]bpf.WaymarkUplinkFlags{
	plan.IPv4: bpf.WaymarkUplinkFlagsUPLINK_IPV4, plan.IPv6: bpf.WaymarkUplinkFlagsUPLINK_IPV6,
}

func uplinkEntry(p *plan.Plan, u plan.Uplink) bpf.WaymarkUplinkEntry {
	entry := bpf.WaymarkUplinkEntry{Ifindex: uint32(u.Index), Table: u.Table, Vrf: uint32(u.VRF.Index)}
	if u.Up && u.Withdrawn == "" {
		entry.Flags |= uint32(bpf.WaymarkUplinkFlagsUPLINK_USABLE)
	}
	if u.Withdrawn != "" {
		entry.Flags |= uint32(bpf.WaymarkUplinkFlagsUPLINK_WITHDRAWN)
	}
	for f, flag := range familyFlags {
		if leads(p, u, f) {
			entry.Flags |= uint32(flag)
		}
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

// leads tells whether an uplink is a way for a family: a class may have nothing
// but what its link reaches. What main reaches, too, no class is refused that asks it.
func leads(p *plan.Plan, u plan.Uplink, family plan.Family) bool {
	strict := slices.ContainsFunc(p.Classes, func(c plan.Class) bool { return c.Route.Strict && slices.Contains(c.Route.Uplinks, u.Name) })
	return u.Families[family] || slices.ContainsFunc(p.Routes, func(r plan.Route) bool {
		return r.Family == family && r.Table == u.Table && r.Dst.Addr().IsGlobalUnicast() && !r.Dst.Addr().IsPrivate() &&
			(strict || !slices.Contains(p.ByMain, r.Dst))
	})
}

// address is the uplink's source in network byte order, nil for none that
// can be used.
func address(u plan.Uplink, family plan.Family) []byte {
	if a := u.Sources[family]; a.IsValid() && u.Families[family] && a != (netip.Prefix{}) {
		return a.Addr().AsSlice()
	}
	return nil
}

func (i *Instance) putPins(p *plan.Plan) error { return putEntries(i.maps.Pins, pinEntries(p)) }

// pinEntries are all there is room for.
func pinEntries(p *plan.Plan) []bpf.WaymarkPin {
	entries := make([]bpf.WaymarkPin, bpf.WaymarkLimitsMAX_PINS)
	for k, pin := range p.Pins() {
		if k == len(entries) {
			break
		}
		entries[k] = bpf.WaymarkPin{Source: insidePrefix(pin.Source), Uplink: uint32(pin.Uplink)}
	}
	return entries
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
	slices.SortStableFunc(entries[:len(prefixes)], func(a, b bpf.WaymarkInsidePrefix) int { return cmp.Compare(b.ByMain, a.ByMain) })
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
