// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// An end is one end of a cable.
type end struct {
	node   *Node
	name   string // of the interface
	index  int    // of the interface; 0 takes the next free one
	bridge string // if set, the interface is a port of this new bridge, which carries the rest
	number int    // of this end within each of the cable's prefixes
	routes []route
}

// connect joins two ends by a veth pair. The second end's index is the kernel's
// choice. What the ends carry is noted down; settle configures it.
func (l *Lab) connect(a, b end, prefixes []netip.Prefix) error {
	macA, macB := l.nextMAC(), l.nextMAC()
	link := &netlink.Veth{
		LinkAttrs: netlink.NewLinkAttrs(), PeerName: b.name, PeerTxQLen: -1,
		PeerNamespace: netlink.NsFd(int(b.node.ns)), PeerHardwareAddr: macB,
	}
	link.Name, link.Index, link.HardwareAddr = a.name, a.index, macA
	if err := a.node.nl.LinkAdd(link); err != nil {
		return fmt.Errorf("add link %s of %s to %s of %s: %w", a.name, a.node.Name, b.name, b.node.Name, err)
	}
	if err := l.describe(a, b.number, macB, prefixes); err != nil {
		return err
	}
	if b.bridge == "" {
		return l.describe(b, a.number, macA, prefixes)
	}
	port := b
	b.name = b.bridge
	if err := b.node.addBridge(b.bridge, port.name, macB); err != nil {
		return err
	}
	if err := l.describe(port, 0, nil, nil); err != nil {
		return err
	}
	return l.describe(b, a.number, macA, prefixes)
}

// describe notes down the port that an end is, and takes its offloads away.
func (l *Lab) describe(e end, peer int, peerMAC net.HardwareAddr, prefixes []netip.Prefix) error {
	p := &port{routes: e.routes, neighbour: peerMAC}
	for _, prefix := range prefixes {
		p.addresses = append(p.addresses, at(prefix, e.number))
		p.peers = append(p.peers, at(prefix, peer).Addr())
	}
	e.node.ports[e.name] = p
	if l.options.Offload {
		return nil
	}
	return e.node.Do(func() error { return disableOffload(e.name) })
}

// nextMAC counts locally administered addresses up.
func (l *Lab) nextMAC() net.HardwareAddr {
	l.macs++
	return net.HardwareAddr{2, 0, 0, 0, 0, l.macs}
}

// addBridge makes a bridge without multicast snooping, which would query.
func (n *Node) addBridge(name, member string, mac net.HardwareAddr) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = name, mac
	snooping := false
	bridge := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}
	if err := n.nl.LinkAdd(bridge); err != nil {
		return fmt.Errorf("add bridge %s of %s: %w", name, n.Name, err)
	}
	port, err := n.link(member)
	if err != nil {
		return err
	}
	if err := n.nl.LinkSetMaster(port, bridge); err != nil {
		return fmt.Errorf("add %s to bridge %s of %s: %w", member, name, n.Name, err)
	}
	return nil
}

func (n *Node) link(name string) (netlink.Link, error) {
	link, err := n.nl.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find link %s of %s: %w", name, n.Name, err)
	}
	return link, nil
}
