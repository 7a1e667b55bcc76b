// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"math"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func (c *Copy) copyAddresses(from, to netlink.Link) error {
	addresses, err := netlink.AddrList(from, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list addresses of %s: %w", from.Attrs().Name, err)
	}
	// Those of IPv6 are behind, and of them the last one that is added comes first, as
	// the source of what asks for none.
	if six := slices.IndexFunc(addresses, func(a netlink.Addr) bool { return a.IP.To4() == nil }); six >= 0 {
		slices.Reverse(addresses[six:])
	}
	const unusable = unix.IFA_F_TENTATIVE | unix.IFA_F_DADFAILED
	for _, a := range addresses {
		if a.Flags&unusable != 0 {
			continue
		}
		own := &netlink.Addr{IPNet: a.IPNet, Peer: a.Peer, Broadcast: a.Broadcast, Scope: a.Scope, Flags: a.Flags&unix.IFA_F_NOPREFIXROUTE | unix.IFA_F_NODAD}
		if a.Flags&unix.IFA_F_DEPRECATED != 0 {
			own.ValidLft = math.MaxInt32 // and preferred no longer: new flows take another
		}
		if err := c.Host.nl.AddrReplace(to, own); err != nil {
			return fmt.Errorf("add address %s to %s: %w", a.IPNet, to.Attrs().Name, err)
		}
	}
	return nil
}
