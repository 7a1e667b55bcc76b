// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// Outage is an interface that was taken down, with what it loses by that.
type Outage struct {
	name      string
	carrier   bool
	addresses []netlink.Addr
	routes    []netlink.Route
}

// TakeDown takes an interface administratively down. Until End it has no
// routes, and may have lost its IPv6 addresses.
func TakeDown(name string) (*Outage, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("take %s down: %w", name, err)
	}
	o := &Outage{name: name, carrier: link.Attrs().RawFlags&unix.IFF_LOWER_UP != 0}
	if o.addresses, err = netlink.AddrList(link, netlink.FAMILY_ALL); err != nil {
		return nil, fmt.Errorf("take %s down: list its addresses: %w", name, err)
	}
	if o.routes, err = routesBy(link.Attrs().Index); err != nil {
		return nil, fmt.Errorf("take %s down: %w", name, err)
	}
	if err := netlink.LinkSetDown(link); err != nil {
		return nil, fmt.Errorf("take %s down: %w", name, err)
	}
	return o, nil
}

// routesBy are the routes by an interface that somebody made: neither those of
// the kernel, which come with addresses, nor Waymark's.
func routesBy(index int) (all []netlink.Route, err error) {
	const kept = int(netlink.FLAG_ONLINK) | int(netlink.FLAG_PERVASIVE)
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for _, r := range routes {
			if !uses(r, index) || r.Protocol == unix.RTPROT_KERNEL || r.Protocol == plan.Protocol || r.Type != unix.RTN_UNICAST {
				continue
			}
			r.Flags &= kept
			for _, h := range r.MultiPath {
				h.Flags &= kept
			}
			all = append(all, r)
		}
	}
	return all, nil
}

func uses(r netlink.Route, index int) bool {
	return r.LinkIndex == index || slices.ContainsFunc(r.MultiPath, func(h *netlink.NexthopInfo) bool { return h.LinkIndex == index })
}

// carrierPatience is how long a link may take to come up.
const carrierPatience = 20 * time.Second

// End takes the interface up and, once it has its carrier back, gives it those
// of its addresses and routes that nobody else has given it by then. Routes of
// Waymark's are for the loader.
func (o *Outage) End() error {
	link, err := netlink.LinkByName(o.name)
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("take %s up: %w: `ip link set %s up` does it by hand", o.name, err, o.name)
	}
	if err := o.awaitCarrier(); err != nil {
		return err
	}
	var errs []error
	for _, a := range o.addresses {
		a.Flags |= unix.IFA_F_NODAD
		a.Label = ""
		if err := netlink.AddrReplace(link, &a); err != nil {
			errs = append(errs, fmt.Errorf("give %s its address %s back: %w", o.name, a.IPNet, err))
		}
	}
	have, err := routesBy(link.Attrs().Index)
	if err != nil {
		errs = append(errs, err)
	}
	// Those on the link first: others lead by way of them.
	slices.SortStableFunc(o.routes, func(a, b netlink.Route) int { return len(a.Gw) - len(b.Gw) })
	for _, r := range o.routes {
		if slices.ContainsFunc(have, r.Equal) {
			continue
		}
		if err := netlink.RouteAppend(&r); err != nil {
			errs = append(errs, fmt.Errorf("give %s its route %s back: %w", o.name, r, err))
		}
	}
	return errors.Join(errs...)
}

func (o *Outage) awaitCarrier() error {
	for end := time.Now().Add(carrierPatience); o.carrier; time.Sleep(10 * time.Millisecond) {
		link, err := netlink.LinkByName(o.name)
		if err != nil {
			return fmt.Errorf("take %s up: %w", o.name, err)
		}
		if link.Attrs().RawFlags&unix.IFF_RUNNING != 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("take %s up: it has no carrier after %s: `ip link show %s`", o.name, carrierPatience, o.name)
		}
	}
	return nil
}
