// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// Kernels without tcx (before 6.6) have the tc programs as filters of
// the interface's clsact qdisc. The program is pinned in place of a link;
// a second pin says that the qdisc is ours to remove.

const (
	filterName     = "waymark"
	filterPriority = 0x77 // 'w': after filters that others put at tc's low defaults
	filterHandle   = 0x77
)

func (i *Instance) qdiscPin(h plan.Hook) string {
	return filepath.Join(i.dir, "clsact-"+h.Pin)
}

func clsact(index int) *netlink.Clsact {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
}

// clsactParent is where a program's filter goes.
var clsactParent = map[string]uint32{
	plan.EgressProgram:  netlink.HANDLE_MIN_EGRESS,
	plan.IngressProgram: netlink.HANDLE_MIN_INGRESS,
}

func filter(h plan.Hook, index, fd int) *netlink.BpfFilter {
	return &netlink.BpfFilter{
		FilterAttrs:  netlink.FilterAttrs{LinkIndex: index, Parent: clsactParent[h.Program], Handle: filterHandle, Priority: filterPriority, Protocol: unix.ETH_P_ALL},
		Fd:           fd,
		Name:         filterName,
		DirectAction: true,
	}
}

func (i *Instance) attachClsact(h plan.Hook, index int, program *ebpf.Program) error {
	if err := i.Detach(h); err != nil {
		return err
	}
	switch err := netlink.QdiscAdd(clsact(index)); {
	case err == nil:
		if err := program.Pin(i.qdiscPin(h)); err != nil {
			return fmt.Errorf("pin %s: %w", i.qdiscPin(h), err)
		}
	case !errors.Is(err, unix.EEXIST):
		return fmt.Errorf("add clsact to %s: %w", h.Place, err)
	}
	if err := program.Pin(i.pin(h)); err != nil {
		return fmt.Errorf("pin %s: %w", i.pin(h), err)
	}
	if err := netlink.FilterReplace(filter(h, index, program.FD())); err != nil {
		return fmt.Errorf("attach %s to %s: %w", h.Program, h.Place, err)
	}
	return nil
}

// clsactPlace is the interface whose filter runs the pinned program.
func (i *Instance) clsactPlace(h plan.Hook) (string, bool) {
	index, _, ok := i.clsactFilter(h)
	if !ok {
		return "", false
	}
	return interfacePlace(index), true
}

// clsactFilter finds the filter that runs the pinned program; ok says that
// the pin is a program at all.
func (i *Instance) clsactFilter(h plan.Hook) (index int, filter netlink.Filter, ok bool) {
	program, err := ebpf.LoadPinnedProgram(i.pin(h), nil)
	if err != nil {
		return 0, nil, false
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		return 0, nil, true
	}
	id, _ := info.ID()
	links, err := netlink.LinkList()
	if err != nil {
		return 0, nil, true
	}
	for _, l := range links {
		filters, err := netlink.FilterList(l, clsactParent[h.Program])
		if err != nil {
			continue
		}
		for _, f := range filters {
			if b, isBpf := f.(*netlink.BpfFilter); isBpf && b.Name == filterName && b.Id == int(id) {
				return l.Attrs().Index, f, true
			}
		}
	}
	return 0, nil, true
}

// detachClsact removes the filter, and the qdisc if it is ours and empty.
func (i *Instance) detachClsact(h plan.Hook) error {
	index, filter, ok := i.clsactFilter(h)
	if !ok {
		return nil
	}
	if filter != nil {
		if err := netlink.FilterDel(filter); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("detach %s from %s: %w", h.Program, h.Place, err)
		}
	}
	if _, err := os.Stat(i.qdiscPin(h)); err != nil {
		return nil
	}
	if index != 0 && clsactEmpty(index) {
		if err := netlink.QdiscDel(clsact(index)); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove clsact from %s: %w", h.Place, err)
		}
	}
	return os.Remove(i.qdiscPin(h))
}

func clsactEmpty(index int) bool {
	l, err := netlink.LinkByIndex(index)
	if err != nil {
		return false
	}
	for _, parent := range []uint32{netlink.HANDLE_MIN_EGRESS, netlink.HANDLE_MIN_INGRESS} {
		if filters, err := netlink.FilterList(l, parent); err != nil || len(filters) > 0 {
			return false
		}
	}
	return true
}
