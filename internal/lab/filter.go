// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// FilterIn has a BPF program of type SCHED_CLS, by its descriptor, judge the IPv4
// that comes in by an interface, for as long as that is there. It is a filter of a
// clsact qdisc, whose program may answer TC_ACT_STOLEN: the packet is gone, and
// nobody counts a drop. A tcx program may not.
func (n *Node) FilterIn(iface string, program int) error {
	link, err := n.link(iface)
	if err != nil {
		return err
	}
	index := link.Attrs().Index
	err = n.nl.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}})
	if err == nil {
		err = n.nl.FilterAdd(&netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: netlink.HANDLE_MIN_INGRESS, Priority: 1, Protocol: unix.ETH_P_IP},
			Fd:          program, Name: "lab", DirectAction: true,
		})
	}
	if err != nil {
		return fmt.Errorf("filter what comes in by %s of %s: %w", iface, n.Name, err)
	}
	return nil
}
