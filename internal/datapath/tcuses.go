// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
)

// TCUse is a filter of tc that looks at the fwmark, or an action that sets it.
type TCUse struct {
	What       string // in words
	Sets       bool
	Mark, Mask uint32 // host byte order
	Remove     string // the command that removes the filter
}

// tcPlaces are where an interface has filters, by tc's name of it: its own
// queueing, and its clsact or ingress qdisc.
var tcPlaces = []struct {
	name   string
	parent uint32
}{{"root", netlink.HANDLE_NONE}, {"egress", netlink.HANDLE_MIN_EGRESS}, {"ingress", netlink.HANDLE_MIN_INGRESS}}

// tcOf are the filters of an interface, with uses of the mark, and BPF programs
// that are not of ours.
func tcOf(device *net.Interface) (uses []TCUse, others []Other, err error) {
	for _, place := range tcPlaces {
		filters, err := netlink.FilterList(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: device.Index}}, place.parent)
		if err != nil && !gone(err) {
			return nil, nil, fmt.Errorf("list the filters of interface %s: %w", device.Name, err)
		}
		for _, f := range filters {
			where := fmt.Sprintf("dev %s %s", device.Name, place.name)
			remove := fmt.Sprintf("tc filter del %s pref %d", where, f.Attrs().Priority)
			if b, ok := f.(*netlink.BpfFilter); ok && b.Name != filterName && b.Name != filterNameOwner {
				others = append(others, Other{Place: "tc filter of " + where, Name: b.Name, ID: uint32(b.Id)})
			}
			for _, u := range usesOf(f) {
				u.What, u.Remove = fmt.Sprintf("tc filter of %s, pref %d: %s", where, f.Attrs().Priority, u.What), remove
				uses = append(uses, u)
			}
		}
	}
	return uses, others, nil
}

// usesOf are a filter's.
func usesOf(f netlink.Filter) (uses []TCUse) {
	var actions []netlink.Action
	switch f := f.(type) {
	case *netlink.FwFilter:
		mask := f.Mask
		if mask == 0 {
			mask = 1<<32 - 1
		}
		uses = append(uses, TCUse{What: fmt.Sprintf("matches mark %#x/%#x", f.Handle, mask), Mark: f.Handle, Mask: mask})
	case *netlink.MatchAll:
		actions = f.Actions
	case *netlink.U32:
		actions = f.Actions
	case *netlink.Flower:
		actions = f.Actions
	}
	for _, a := range actions {
		if _, ok := a.(*netlink.ConnmarkAction); ok {
			uses = append(uses, TCUse{What: "sets the mark from the connection's", Sets: true, Mask: 1<<32 - 1})
		}
		edit, ok := a.(*netlink.SkbEditAction)
		if !ok || edit.Mark == nil {
			continue
		}
		mask := uint32(1<<32 - 1)
		if edit.Mask != nil {
			mask = *edit.Mask
		}
		uses = append(uses, TCUse{What: fmt.Sprintf("sets mark %#x/%#x", *edit.Mark, mask), Sets: true, Mark: *edit.Mark, Mask: mask})
	}
	return uses
}
