// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// Kernels without tcx (before 6.6) have the tc programs as filters of the
// interface's clsact qdisc. The program is pinned in place of a link. A
// filter's name says whether the qdisc is ours and goes with the last of
// ours; while two instances change places, both their filters say so.
const (
	filterName      = "waymark"
	filterNameOwner = "waymark, with its qdisc"
	filterPriority  = 0x77 // 'w': before filters that are added without a priority
)

// clsactParent is where a program's filter goes.
var clsactParent = map[string]uint32{
	plan.EgressProgram:  netlink.HANDLE_MIN_EGRESS,
	plan.EntersProgram:  netlink.HANDLE_MIN_INGRESS,
	plan.IngressProgram: netlink.HANDLE_MIN_INGRESS,
}

func clsact(index int) *netlink.Clsact {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
}

func (i *Instance) attachClsact(h plan.Hook, index int, program *ebpf.Program) error {
	if err := i.Detach(h); err != nil {
		return err
	}
	name, err := needClsact(h, index)
	if err != nil {
		return err
	}
	f := &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: clsactParent[h.Program], Priority: filterPriority, Protocol: unix.ETH_P_ALL},
		Fd:          program.FD(), Name: name, DirectAction: true,
	}
	if err := program.Pin(i.pin(h)); err != nil {
		return errors.Join(fmt.Errorf("pin %s: %w", i.pin(h), err), leaveClsact(f))
	}
	if err := netlink.FilterAdd(f); err != nil {
		return errors.Join(fmt.Errorf("attach %s to %s: %w", h.Program, h.Place, err), os.Remove(i.pin(h)), leaveClsact(f))
	}
	return nil
}

// needClsact makes the qdisc if it is not there, and returns the name for a
// filter in it.
func needClsact(h plan.Hook, index int) (name string, err error) {
	err = netlink.QdiscAdd(clsact(index))
	if err == nil {
		return filterNameOwner, nil
	}
	if !errors.Is(err, unix.EEXIST) {
		return "", fmt.Errorf("add clsact to %s: %w", h.Place, err)
	}
	kind, err := qdiscKind(index)
	if err != nil {
		return "", err
	}
	// An ingress qdisc would run an egress filter on what comes in.
	if kind != "clsact" && h.Program == plan.EgressProgram {
		return "", plan.Conflicts{{What: "the place of a clsact qdisc on " + h.Place, Owner: "a qdisc of type " + kind,
			Cure: "have its filters at the ingress of a clsact qdisc"}}
	}
	filters, err := filtersOf(index)
	for _, f := range filters {
		if b, ok := f.(*netlink.BpfFilter); ok && b.Name == filterNameOwner {
			return filterNameOwner, err
		}
	}
	return filterName, err
}

// leaveClsact removes the qdisc of a filter that is gone, if it is ours and
// empty.
func leaveClsact(f *netlink.BpfFilter) error {
	if f.Name != filterNameOwner {
		return nil
	}
	if filters, err := filtersOf(f.LinkIndex); err != nil || len(filters) > 0 {
		return err
	}
	if err := netlink.QdiscDel(clsact(f.LinkIndex)); err != nil && !gone(err) {
		return fmt.Errorf("remove clsact from interface %d: %w", f.LinkIndex, err)
	}
	return nil
}

func (i *Instance) detachClsact(h plan.Hook) error {
	f, _, err := i.clsactFilter(h)
	if err != nil {
		return fmt.Errorf("detach %s from %s: %w", h.Program, h.Place, err)
	}
	if f == nil {
		return nil
	}
	if err := netlink.FilterDel(f); err != nil && !gone(err) {
		return fmt.Errorf("detach %s from %s: %w", h.Program, h.Place, err)
	}
	return leaveClsact(f)
}

// replaceInClsact gives a hook's filter another program, without a gap. The
// pin of the next one stands beside the old while neither alone would say
// what the filter runs. ok says that there is such a filter.
func (i *Instance) replaceInClsact(h plan.Hook, program *ebpf.Program) (ok bool, err error) {
	f, _, err := i.clsactFilter(h)
	if f == nil || err != nil {
		return false, err
	}
	next := i.pin(h) + nextSuffix
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return true, err
	}
	if err := program.Pin(next); err != nil {
		return true, fmt.Errorf("pin %s: %w", next, err)
	}
	f.Fd = program.FD()
	if err := netlink.FilterReplace(f); err != nil {
		return true, errors.Join(fmt.Errorf("update %s at %s: %w", h.Program, h.Place, err), os.Remove(next))
	}
	return true, os.Rename(next, i.pin(h))
}

// gone tells whether what was to be removed is not there, or its interface.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL)
}
