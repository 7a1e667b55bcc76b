// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A port is what one interface of a node carries.
type port struct {
	addresses []netip.Prefix
	peers     []netip.Addr     // addresses of the other end,
	neighbour net.HardwareAddr // all of which live here
	routes    []route
}

// A route of the main table; metric 0 is the kernel's default.
type route struct {
	to     netip.Prefix
	via    netip.Addr
	metric int
}

// configure puts everything on the port that is not there already.
func (n *Node) configure(iface string) error {
	link, err := n.link(iface)
	if err != nil {
		return err
	}
	p := n.ports[iface]
	if err := n.setNeighbours(link, p); err != nil {
		return err
	}
	for _, a := range p.addresses {
		address := &netlink.Addr{IPNet: ipNet(a), Flags: unix.IFA_F_NODAD}
		if err := n.nl.AddrReplace(link, address); err != nil {
			return fmt.Errorf("add address %s to %s of %s: %w", a, iface, n.Name, err)
		}
	}
	for _, r := range p.routes {
		err := n.nl.RouteReplace(&netlink.Route{
			LinkIndex: link.Attrs().Index, Dst: ipNet(r.to), Gw: r.via.AsSlice(),
			Priority: r.metric, Protocol: unix.RTPROT_STATIC,
		})
		if err != nil {
			return fmt.Errorf("add route %s via %s dev %s of %s: %w", r.to, r.via, iface, n.Name, err)
		}
	}
	return nil
}

// setNeighbours makes the other end's addresses known for good, so that neither
// ARP nor neighbour discovery is ever sent.
func (n *Node) setNeighbours(link netlink.Link, p *port) error {
	for _, peer := range p.peers {
		err := n.nl.NeighSet(&netlink.Neigh{
			LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT,
			IP: peer.AsSlice(), HardwareAddr: p.neighbour,
		})
		if err != nil {
			return fmt.Errorf("set neighbour %s on %s of %s: %w", peer, link.Attrs().Name, n.Name, err)
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
