// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"waymark/internal/plan"
)

// nextSuffix is of the pin of a program that is about to replace another.
const nextSuffix = "-next"

// clsactFilter finds the filter that runs a hook's pinned program; nil when
// it is gone. pinned says that the pin is a program, and not a link. Interfaces
// that packets of others come in by may share one: their pins name them.
func (i *Instance) clsactFilter(h plan.Hook) (f *netlink.BpfFilter, pinned bool, err error) {
	programs, err := i.pinnedPrograms(h)
	if err != nil || len(programs) == 0 {
		return nil, false, err
	}
	qdiscs, err := netlink.QdiscList(nil)
	if err != nil {
		return nil, true, fmt.Errorf("list qdiscs: %w", err)
	}
	for _, q := range qdiscs {
		index := q.Attrs().LinkIndex
		if q.Attrs().Parent != netlink.HANDLE_CLSACT || (h.Program == plan.IngressProgram && h.Pin != plan.IngressPin(index)) {
			continue
		}
		filters, err := filtersOf(index)
		if err != nil {
			return nil, true, err
		}
		for _, f := range filters {
			if b, ok := f.(*netlink.BpfFilter); ok && slices.Contains(programs, ebpf.ProgramID(b.Id)) {
				return b, true, nil
			}
		}
	}
	return nil, true, nil
}

// pinnedPrograms are the ids of the program that a hook's pin is, and of the
// next one; none if the pin is a link or is not there.
func (i *Instance) pinnedPrograms(h plan.Hook) (ids []ebpf.ProgramID, err error) {
	for _, pin := range []string{i.pin(h), i.pin(h) + nextSuffix} {
		program, err := ebpf.LoadPinnedProgram(pin, nil)
		if err != nil {
			continue
		}
		info, err := program.Info()
		program.Close()
		if err != nil {
			return nil, fmt.Errorf("read program %s: %w", pin, err)
		}
		id, _ := info.ID()
		ids = append(ids, id)
	}
	return ids, nil
}

// filtersOf are the filters of an interface's clsact or ingress qdisc. An
// interface that is gone has none.
func filtersOf(index int) (all []netlink.Filter, err error) {
	device := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
	for _, parent := range []uint32{netlink.HANDLE_MIN_EGRESS, netlink.HANDLE_MIN_INGRESS} {
		filters, err := netlink.FilterList(device, parent)
		if err != nil && !gone(err) {
			return nil, fmt.Errorf("list the filters of interface %d: %w", index, err)
		}
		all = append(all, filters...)
	}
	return all, nil
}

// qdiscKind is the type of the qdisc in clsact's place.
func qdiscKind(index int) (string, error) {
	qdiscs, err := netlink.QdiscList(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}})
	if err != nil {
		return "", fmt.Errorf("list the qdiscs of interface %d: %w", index, err)
	}
	for _, q := range qdiscs {
		if q.Attrs().Parent == netlink.HANDLE_CLSACT {
			return q.Type(), nil
		}
	}
	return "", fmt.Errorf("list the qdiscs of interface %d: %w", index, os.ErrNotExist)
}

// unpin removes a hook's pins.
func (i *Instance) unpin(h plan.Hook) error {
	var errs []error
	for _, pin := range []string{i.pin(h), i.pin(h) + nextSuffix} {
		if err := sever(pin); err != nil {
			errs = append(errs, err)
		}
		if err := os.Remove(pin); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// sever detaches a link that has no other pin. Without its last pin the kernel
// would detach it too, but in its own time, and late on a busy machine. (Those of
// tracepoints it detaches in no other way.)
func sever(pin string) error {
	info, err := os.Stat(pin)
	if err != nil || info.Sys().(*syscall.Stat_t).Nlink > 1 {
		return nil
	}
	l, err := link.LoadPinnedLink(pin, nil)
	if err != nil {
		return nil // it is a program's
	}
	defer l.Close()
	if err := l.Detach(); err != nil && !errors.Is(err, ebpf.ErrNotSupported) {
		return err
	}
	return nil
}
