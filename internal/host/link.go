// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// Links returns those of the named interfaces that exist in the calling
// thread's network namespace.
func Links(names []string) (map[string]plan.Link, error) {
	addresses, leased, err := addresses()
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
		link := newLink(l.Attrs(), addresses[l.Attrs().Index])
		link.Leased = leased[l.Attrs().Index]
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

func newLink(a *netlink.LinkAttrs, addresses []netip.Prefix) plan.Link {
	return plan.Link{
		Index:        a.Index,
		Up:           a.RawFlags&unix.IFF_UP != 0,
		Carrier:      a.RawFlags&unix.IFF_RUNNING != 0,
		PointToPoint: pointToPoint(a.RawFlags),
		Addresses:    addresses,
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

// Addresses returns the usable addresses of every interface.
func Addresses() ([]netip.Addr, error) {
	byLink, _, err := addresses()
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	var all []netip.Addr
	for _, prefixes := range byLink {
		for _, p := range prefixes {
			all = append(all, p.Addr())
		}
	}
	return all, nil
}

// addresses are the usable addresses of every link by its index, and the links that
// have an IPv4 one for a time only.
func addresses() (byLink map[int][]netip.Prefix, leased map[int]bool, err error) {
	var list []netlink.Addr
	err = retry(func() (err error) {
		list, err = netlink.AddrList(nil, netlink.FAMILY_ALL)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	byLink, leased = make(map[int][]netip.Prefix), map[int]bool{}
	for _, a := range list {
		if p := prefix(a); usable(a, p) {
			byLink[a.LinkIndex] = append(byLink[a.LinkIndex], p)
			leased[a.LinkIndex] = leased[a.LinkIndex] || p.Addr().Is4() && a.Flags&unix.IFA_F_PERMANENT == 0
		}
	}
	return byLink, leased, nil
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
// source. A deprecated IPv4 address is no less used.
func usable(a netlink.Addr, p netip.Prefix) bool {
	if !p.IsValid() || a.Scope != unix.RT_SCOPE_UNIVERSE && a.Scope != unix.RT_SCOPE_SITE {
		return false
	}
	if p.Addr().Is4() {
		return true
	}
	tentative := a.Flags&unix.IFA_F_TENTATIVE != 0 && a.Flags&unix.IFA_F_OPTIMISTIC == 0
	return !tentative && a.Flags&(unix.IFA_F_DADFAILED|unix.IFA_F_DEPRECATED) == 0
}
