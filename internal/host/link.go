// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// Links returns those of the named interfaces that exist in the calling
// thread's network namespace.
func Links(names []string) (map[string]plan.Link, error) {
	byLink, err := addresses()
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	links := make(map[string]plan.Link, len(names))
	for _, name := range names {
		var l netlink.Link
		err := retry(func() (err error) {
			l, err = netlink.LinkByName(name)
			return err
		})
		if errors.As(err, new(netlink.LinkNotFoundError)) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read interface %s: %w", name, err)
		}
		link := newLink(l.Attrs(), byLink[l.Attrs().Index])
		if link.VRF, err = vrfOf(l.Attrs()); err != nil {
			return nil, fmt.Errorf("read the master of interface %s: %w", name, err)
		}
		links[name] = link
	}
	return links, nil
}

// vrfOf is the VRF that an interface is enslaved to, if its master is one.
func vrfOf(a *netlink.LinkAttrs) (vrf plan.VRF, err error) {
	if a.MasterIndex == 0 {
		return vrf, nil
	}
	var master netlink.Link
	err = retry(func() (err error) {
		master, err = netlink.LinkByIndex(a.MasterIndex)
		return err
	})
	if err != nil {
		return vrf, err
	}
	if v, ok := master.(*netlink.Vrf); ok {
		vrf = plan.VRF{Name: v.Name, Index: v.Index, Table: v.Table}
	}
	return vrf, nil
}

func newLink(a *netlink.LinkAttrs, own owned) plan.Link {
	return plan.Link{
		Index:        a.Index,
		Up:           a.RawFlags&unix.IFF_UP != 0,
		Carrier:      a.RawFlags&unix.IFF_RUNNING != 0,
		PointToPoint: pointToPoint(a.RawFlags),
		Leased:       own.leased,
		Addresses:    slices.Concat(own.addresses, own.deprecated),
		Deprecated:   own.deprecated,
	}
}

// pointToPoint tells whether a link needs no gateway: PPP, tun, WireGuard
// and tunnels, which resolve no neighbours and broadcast to none.
func pointToPoint(flags uint32) bool {
	if flags&unix.IFF_POINTOPOINT != 0 {
		return true
	}
	return flags&unix.IFF_NOARP != 0 && flags&(unix.IFF_BROADCAST|unix.IFF_LOOPBACK) == 0
}

// Addresses returns the usable addresses of every interface that are not deprecated.
func Addresses() ([]netip.Addr, error) {
	byLink, err := addresses()
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	var all []netip.Addr
	for _, own := range byLink {
		for _, p := range own.addresses {
			all = append(all, p.Addr())
		}
	}
	return all, nil
}

// owned are the usable addresses of a link.
type owned struct {
	addresses, deprecated []netip.Prefix
	leased                bool // has an IPv4 one for a time only
}

// addresses are the usable ones of every link by its index. A deprecated IPv4
// address is no less used than others.
func addresses() (map[int]owned, error) {
	var list []netlink.Addr
	err := retry(func() (err error) {
		list, err = netlink.AddrList(nil, netlink.FAMILY_ALL)
		return err
	})
	if err != nil {
		return nil, err
	}
	byLink := map[int]owned{}
	for _, a := range list {
		p, own := prefix(a), byLink[a.LinkIndex]
		switch {
		case !usable(a, p):
			continue
		case p.Addr().Is4():
			own.addresses, own.leased = append(own.addresses, p), own.leased || a.Flags&unix.IFA_F_PERMANENT == 0
		case a.Flags&unix.IFA_F_DEPRECATED != 0:
			own.deprecated = append(own.deprecated, p)
		default:
			own.addresses = append(own.addresses, p)
		}
		byLink[a.LinkIndex] = own
	}
	return byLink, nil
}

// prefix is the address a host has, with the length of its network. The
// library gives an address with a peer its full length.
func prefix(a netlink.Addr) netip.Prefix {
	if a.IPNet == nil {
		return netip.Prefix{}
	}
	ip, ok := netip.AddrFromSlice(a.IP)
	ones, _ := a.Mask.Size()
	if !ok {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(ip, ones)
}

// usable tells whether packets to the world may have the address as their
// source.
func usable(a netlink.Addr, p netip.Prefix) bool {
	if !p.IsValid() || a.Scope != unix.RT_SCOPE_UNIVERSE && a.Scope != unix.RT_SCOPE_SITE {
		return false
	}
	if p.Addr().Is4() {
		return true
	}
	tentative := a.Flags&unix.IFA_F_TENTATIVE != 0 && a.Flags&unix.IFA_F_OPTIMISTIC == 0
	return !tentative && a.Flags&unix.IFA_F_DADFAILED == 0
}
