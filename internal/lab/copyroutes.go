// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var families = []int{unix.AF_INET, unix.AF_INET6}

// copyRoutes copies those of all tables but local, which the kernel fills. One
// whose next hop another one leads to comes after that.
func (c *Copy) copyRoutes(without uint8) error {
	var waiting []netlink.Route
	for _, family := range families {
		routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return fmt.Errorf("list routes: %w", err)
		}
		for _, r := range routes {
			if r.Table != unix.RT_TABLE_LOCAL && r.Protocol != netlink.RouteProtocol(without) && c.rewire(&r) {
				waiting = append(waiting, r)
			}
		}
	}
	for {
		var refused []netlink.Route
		var errs []error
		for _, r := range waiting {
			if err := c.Host.nl.RouteAdd(&r); err != nil && !errors.Is(err, unix.EEXIST) {
				refused, errs = append(refused, r), append(errs, err)
			}
		}
		if len(refused) == 0 {
			return nil
		}
		if len(refused) == len(waiting) {
			for n, r := range refused {
				c.Left = append(c.Left, fmt.Sprintf("route %s: %v", r, errs[n]))
			}
			return nil
		}
		waiting = refused
	}
}

// rewire gives a route the copy's interfaces. One by an interface that was not
// copied is left out, and so is one that a device of its own kind has.
func (c *Copy) rewire(r *netlink.Route) bool {
	const kept = int(netlink.FLAG_ONLINK) | int(netlink.FLAG_PERVASIVE)
	r.Flags &= kept
	for _, h := range r.MultiPath {
		h.Flags &= kept
		if h.LinkIndex = c.links[h.LinkIndex]; h.LinkIndex == 0 {
			return false
		}
	}
	if r.LinkIndex != 0 {
		if r.LinkIndex = c.links[r.LinkIndex]; r.LinkIndex == 0 {
			return false
		}
	}
	return r.Type != unix.RTN_LOCAL && r.Type != unix.RTN_MULTICAST && r.Type != unix.RTN_ANYCAST && r.Type != unix.RTN_BROADCAST
}
