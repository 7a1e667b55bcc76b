// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A bridge is one that was copied.
type bridge struct {
	ports []string // those that have a carrier, by name: they are cables of their own
}

// noteBridges finds the host's bridges: a port may have come to the host before
// its bridge.
func (c *Copy) noteBridges(links []netlink.Link) {
	for _, link := range links {
		if _, is := link.(*netlink.Bridge); is {
			c.bridges[link.Attrs().Index] = &bridge{}
		}
	}
	for _, link := range links {
		a := link.Attrs()
		if b := c.bridges[a.MasterIndex]; b != nil && a.RawFlags&unix.IFF_LOWER_UP != 0 {
			b.ports = append(b.ports, a.Name)
		}
	}
}

// addBridge makes one that knows no VLANs and has no spanning tree: its ports
// forward at once. One that never had a port has a carrier, until it is given an
// address.
func (c *Copy) addBridge(a *netlink.LinkAttrs) error {
	own := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs()}
	own.Name = a.Name
	if len(c.bridges[a.Index].ports) > 0 || a.RawFlags&unix.IFF_LOWER_UP == 0 {
		own.HardwareAddr = a.HardwareAddr
	}
	if err := c.Host.nl.LinkAdd(own); err != nil {
		return err
	}
	link, err := c.Host.link(a.Name)
	if err != nil {
		return err
	}
	return c.Host.nl.LinkSetARPOff(link)
}

// bridgesCarry waits until each bridge has the carrier that the host's has.
func (c *Copy) bridgesCarry(links []netlink.Link) error {
	for _, link := range links {
		a := link.Attrs()
		if c.bridges[a.Index] != nil && a.RawFlags&unix.IFF_UP != 0 {
			if err := c.noticed(a.Name, a.RawFlags&unix.IFF_LOWER_UP != 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// bridgeNamed is the bridge of a name; nil for none.
func (c *Copy) bridgeNamed(name string) *bridge {
	for index, b := range c.bridges {
		if c.names[index] == name {
			return b
		}
	}
	return nil
}

// Arrive has a packet, from its IP header on, come in by an interface of the
// copy, or by a port of it if it is a bridge.
func (c *Copy) Arrive(iface string, packet []byte) error {
	if t := c.tunnels[iface]; t != nil {
		if _, err := t.file.Write(packet); err != nil {
			return fmt.Errorf("have a packet come in by %s: %w", iface, err)
		}
		return nil
	}
	own, err := c.Host.link(iface)
	if err != nil {
		return err
	}
	port := iface
	if b := c.bridgeNamed(iface); b != nil {
		if len(b.ports) == 0 {
			return fmt.Errorf("have a packet come in by %s: no port of it has a carrier", iface)
		}
		port = b.ports[0]
	}
	end, err := c.Far.link(port)
	if err != nil {
		return err
	}
	etherType := uint16(unix.ETH_P_IPV6)
	if packet[0]>>4 == 4 {
		etherType = unix.ETH_P_IP
	}
	to := &unix.SockaddrLinklayer{Ifindex: end.Attrs().Index, Protocol: swap16(etherType), Halen: 6}
	copy(to.Addr[:], own.Attrs().HardwareAddr)
	err = c.Far.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, packet, 0, to)
	})
	if err != nil {
		return fmt.Errorf("have a packet come in by %s: %w", iface, err)
	}
	return nil
}
