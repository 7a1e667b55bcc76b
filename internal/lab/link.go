// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// Stats are an interface's counters since it was made.
type Stats struct {
	RxPackets, RxBytes, TxPackets, TxBytes uint64
	TxDropped                              uint64 // of a cable: for want of room at its other end, where they were not received
}

// Sub is what was counted since an earlier reading.
func (s Stats) Sub(earlier Stats) Stats {
	return Stats{
		s.RxPackets - earlier.RxPackets, s.RxBytes - earlier.RxBytes,
		s.TxPackets - earlier.TxPackets, s.TxBytes - earlier.TxBytes,
		s.TxDropped - earlier.TxDropped,
	}
}

// Stats reads the counters of an interface. Bytes include the Ethernet header,
// 14 a packet.
func (n *Node) Stats(iface string) (Stats, error) {
	link, err := n.link(iface)
	if err != nil {
		return Stats{}, err
	}
	return statsOf(link), nil
}

func statsOf(link netlink.Link) Stats {
	s := link.Attrs().Statistics
	if s == nil {
		return Stats{}
	}
	return Stats{s.RxPackets, s.RxBytes, s.TxPackets, s.TxBytes, s.TxDropped}
}

// SetLink takes an interface administratively up or down. Down costs it its
// neighbours, routes and IPv6 addresses. Up gives them all back, except on the
// host, where routes and addresses stay lost, as on a machine without a network
// manager: Restore is that manager.
func (n *Node) SetLink(iface string, up bool) error {
	link, err := n.link(iface)
	if err != nil {
		return err
	}
	if !up {
		if err := n.nl.LinkSetDown(link); err != nil {
			return fmt.Errorf("set %s of %s down: %w", iface, n.Name, err)
		}
		return nil
	}
	if err := n.nl.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s of %s up: %w", iface, n.Name, err)
	}
	p, ours := n.ports[iface]
	switch {
	case !ours:
		return nil
	case n == n.lab.Host:
		return n.setNeighbours(link, p)
	}
	return n.configure(iface)
}

// Restore puts the addresses and main-table routes that New gave the interface
// back where they are missing.
func (n *Node) Restore(iface string) error {
	if n.ports[iface] == nil {
		return fmt.Errorf("restore %s of %s: not made by the lab", iface, n.Name)
	}
	return n.configure(iface)
}

// Unplug takes the carrier of uplink i away: the router's end goes down, the
// host's stays administratively up. The host's kernel takes notice in its own
// time, within a millisecond or, with SlowCarrier, a second.
func (l *Lab) Unplug(i int) error { return l.Routers[i].SetLink("down", false) }

// Plug undoes Unplug and waits until the link is silent again.
func (l *Lab) Plug(i int) error {
	if err := l.Routers[i].SetLink("down", true); err != nil {
		return err
	}
	return l.awaitSilence(func(n *Node, iface string) bool {
		return n == l.Host && iface == l.uplinks[i].Interface || n == l.Routers[i] && iface == "down"
	})
}
