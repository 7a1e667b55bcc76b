// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Copy is the network state of a host once more, in namespaces: interfaces
// with their names, addresses and carrier, routes, rules, and the sysctls that
// have to do with routing, and filters, which drop nothing here. Every interface
// ends in the node Far, where nobody answers, but for bridges, whose ports do;
// none asks for neighbours. Tunnels' insides and bridges' VLANs are not copied.
type Copy struct {
	Host *Node
	Far  *Node
	Left []string // what could not be copied, in words

	lab     *Lab
	links   map[int]int    // index of the host's own interface to that of its copy
	names   map[int]string // of those that are copied, by the host's own index
	tunnels map[string]*tunnel
	vrfs    map[int]bool    // by the host's own index
	bridges map[int]*bridge // by the host's own index
}

// NewCopy copies the network state of the calling thread's namespace, but for
// rules and routes with a protocol number, and a table of nftables. It needs
// root. On error it leaves nothing behind.
func NewCopy(without uint8, table string) (*Copy, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("copy the host: make network namespaces: %w", os.ErrPermission)
	}
	c := &Copy{lab: &Lab{}, links: map[int]int{1: 1}, names: map[int]string{1: "lo"}, tunnels: map[string]*tunnel{}, vrfs: map[int]bool{}, bridges: map[int]*bridge{}}
	if err := c.build(without, table); err != nil {
		return nil, fmt.Errorf("copy the host: %w", errors.Join(err, c.Close()))
	}
	return c, nil
}

// Close takes the copy away.
func (c *Copy) Close() error { return c.lab.Close() }

func (c *Copy) build(without uint8, table string) (err error) {
	if c.Host, err = c.lab.newNode("host"); err != nil {
		return err
	}
	if c.Far, err = c.lab.newNode("far"); err != nil {
		return err
	}
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	c.noteBridges(links)
	for _, link := range links {
		if err := c.addLink(link); err != nil {
			return err
		}
	}
	for _, link := range links {
		if err := c.enslave(link.Attrs()); err != nil {
			return err
		}
	}
	if err := c.copySysctls(); err != nil {
		return err
	}
	for _, link := range links {
		if err := c.setUp(link); err != nil {
			return err
		}
	}
	if err := c.bridgesCarry(links); err != nil {
		return err
	}
	if err := c.copyRoutes(without); err != nil {
		return err
	}
	if err := c.copyRules(without); err != nil {
		return err
	}
	return c.copyFilters(table)
}

// addLink makes the copy of an interface, which is down.
func (c *Copy) addLink(link netlink.Link) error {
	a := link.Attrs()
	addresses, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list addresses of %s: %w", a.Name, err)
	}
	if a.RawFlags&unix.IFF_LOOPBACK != 0 || a.MasterIndex != 0 && len(addresses) == 0 && c.bridges[a.MasterIndex] == nil {
		return nil
	}
	if vrf, ok := link.(*netlink.Vrf); ok {
		err = c.addVRF(vrf)
	} else if c.bridges[a.Index] != nil {
		err = c.addBridge(a)
	} else if resolvesNothing(a.RawFlags) {
		err = c.addTunnel(a.Name)
	} else {
		err = c.addCable(a)
	}
	if err != nil {
		return fmt.Errorf("add interface %s: %w", a.Name, err)
	}
	own, err := c.Host.link(a.Name)
	if err != nil {
		return err
	}
	c.links[a.Index], c.names[a.Index] = own.Attrs().Index, a.Name
	return nil
}

func (c *Copy) addVRF(vrf *netlink.Vrf) error {
	own := &netlink.Vrf{LinkAttrs: netlink.NewLinkAttrs(), Table: vrf.Table}
	own.Name = vrf.Name
	c.vrfs[vrf.Index] = true
	return c.Host.nl.LinkAdd(own)
}

// enslave puts the copy of an interface into that of its VRF or bridge.
func (c *Copy) enslave(a *netlink.LinkAttrs) error {
	if c.names[a.Index] == "" || !c.vrfs[a.MasterIndex] && c.bridges[a.MasterIndex] == nil {
		return nil
	}
	own, err := c.Host.link(a.Name)
	if err != nil {
		return err
	}
	if err := c.Host.nl.LinkSetMasterByIndex(own, c.links[a.MasterIndex]); err != nil {
		return fmt.Errorf("put %s into %s: %w", a.Name, c.names[a.MasterIndex], err)
	}
	return nil
}

// resolvesNothing tells whether an interface needs no neighbours and
// broadcasts to none: PPP, tunnels, WireGuard.
func resolvesNothing(flags uint32) bool {
	return flags&unix.IFF_POINTOPOINT != 0 || flags&unix.IFF_NOARP != 0 && flags&unix.IFF_BROADCAST == 0
}

// addCable makes an interface whose other end is in Far, by the same index. The
// other end's index is another, or the kernel would take the pair for a plain
// card, whose carrier it looks at once a second.
func (c *Copy) addCable(a *netlink.LinkAttrs) error {
	const apart = 1 << 20
	link := netlink.NewVeth(netlink.NewLinkAttrs())
	link.Name, link.Index, link.MTU = a.Name, a.Index+apart, a.MTU
	link.PeerName, link.PeerNamespace, link.PeerMTU = a.Name, netlink.NsFd(int(c.Host.ns)), uint32(a.MTU)
	if len(a.HardwareAddr) == 6 {
		link.PeerHardwareAddr = a.HardwareAddr
	}
	if err := c.Far.nl.LinkAdd(link); err != nil {
		return err
	}
	own, err := c.Host.link(a.Name)
	if err != nil {
		return err
	}
	return c.Host.nl.LinkSetARPOff(own)
}

// setUp gives the copy of an interface its addresses, and takes it up if it is.
func (c *Copy) setUp(link netlink.Link) error {
	a := link.Attrs()
	switch {
	case a.RawFlags&unix.IFF_LOOPBACK != 0:
		return c.Host.SetLink("lo", true)
	case c.names[a.Index] == "":
		return nil
	}
	own, err := c.Host.link(a.Name)
	if err != nil {
		return err
	}
	if c.bridges[a.Index] != nil && a.RawFlags&unix.IFF_UP == 0 {
		return c.copyAddresses(link, own)
	}
	if c.vrfs[a.Index] || c.bridges[a.Index] != nil {
		if err := c.Host.nl.LinkSetUp(own); err != nil {
			return fmt.Errorf("set %s up: %w", a.Name, err)
		}
		return c.copyAddresses(link, own)
	}
	plugged := a.RawFlags&unix.IFF_LOWER_UP != 0
	if err := c.carrier(a.Name, plugged); err != nil {
		return err
	}
	if a.RawFlags&unix.IFF_UP != 0 {
		if err := c.Host.nl.LinkSetUp(own); err != nil {
			return fmt.Errorf("set %s up: %w", a.Name, err)
		}
		if err := c.carrier(a.Name, plugged); err != nil { // it waits for the kernel
			return err
		}
	}
	return c.copyAddresses(link, own)
}

// Unplug takes an interface's carrier away; it stays administratively up.
func (c *Copy) Unplug(iface string) error { return c.carrier(iface, false) }

// Plug gives it back.
func (c *Copy) Plug(iface string) error { return c.carrier(iface, true) }

// carrier returns when the host's kernel has taken notice.
func (c *Copy) carrier(iface string, on bool) (err error) {
	if b := c.bridgeNamed(iface); b != nil {
		for _, port := range b.ports {
			err = errors.Join(err, c.carrier(port, on))
		}
	} else if t := c.tunnels[iface]; t != nil {
		err = t.carrier(on)
	} else {
		err = c.Far.SetLink(iface, on)
	}
	if err != nil {
		return err
	}
	return c.noticed(iface, on)
}

// noticed waits until the host's kernel knows of an interface's carrier: whoever
// asks for one link's state has it finish that link's pending changes first.
func (c *Copy) noticed(iface string, on bool) error {
	for deadline := time.Now().Add(settleTime); ; time.Sleep(time.Millisecond) {
		link, err := c.Host.link(iface)
		if err != nil {
			return err
		}
		flags := link.Attrs().RawFlags
		if flags&unix.IFF_UP == 0 || on == (flags&unix.IFF_RUNNING != 0) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("set the carrier of %s: the kernel took no notice within %s", iface, settleTime)
		}
	}
}
