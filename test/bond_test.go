// SPDX-License-Identifier: Apache-2.0

package test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// bonded makes an active-backup bond of an uplink's interface and one that leads
// nowhere, with the uplink's addresses.
func (s *site) bonded(t *testing.T, name string, n int) {
	t.Helper()
	h, u := s.Host.Handle(), s.Uplink(n)
	slave := must[netlink.Link](t)(h.LinkByName(u.Interface))
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = name, slave.Attrs().HardwareAddr
	bond := netlink.NewLinkBond(attrs)
	bond.Mode, bond.Miimon = netlink.BOND_MODE_ACTIVE_BACKUP, 10
	made := addLink(t, s.Host, bond)
	spare := netlink.NewLinkAttrs()
	spare.Name = "spare"
	addLink(t, s.Host, &netlink.Veth{LinkAttrs: spare, PeerName: "nowhere"})
	for _, port := range []string{u.Interface, "spare"} {
		link := must[netlink.Link](t)(h.LinkByName(port))
		for _, err := range []error{h.LinkSetDown(link), h.LinkSetMaster(link, made), h.LinkSetUp(link)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, f := range bothFamilies {
		bits := map[ip]int{v4: 24, v6: 64}[f]
		addAddress(t, s.Host, name, netip.PrefixFrom(s.address(n, f.service(1).Addr()), bits))
	}
	for _, gateway := range []netip.Addr{u.Gateway4, u.Gateway6} {
		mac := must[netlink.Link](t)(s.Routers[n].Handle().LinkByName("down")).Attrs().HardwareAddr
		if err := h.NeighSet(&netlink.Neigh{LinkIndex: made.Attrs().Index, IP: gateway.AsSlice(), HardwareAddr: mac, State: unix.NUD_PERMANENT}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBond has an uplink be a bond: its ports are no uplinks, one that fails is
// the bond's affair, and a bond without any has no link.
func TestBond(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.bonded(t, "bond0", byB)
	s.apply(t, "uplinks:\n"+uplinkA+"  - {name: b, interface: bond0, gateway: [10.0.2.1, \"2001:db8:2::1\"]}\n"+uplinkC+
		"classes:\n  - {name: group, route: [b, c], match: [{cgroup: app.slice}]}\n  - {name: closed, route: [b], otherwise: unreachable, match: [{cgroup: closed.slice}]}\n")
	leave := func(router int) {
		t.Helper()
		for _, f := range bothFamilies {
			for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
				s.blameless(t, func() { s.leaves(t, in("app.slice", f.job(kind, 1)), router) })
			}
		}
	}
	leave(byB)
	s.ok(t, "verify", "--cgroup-root", s.CgroupRoot(), "--inject")
	if err := s.Host.SetLink("spare", false); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	leave(byB)
	if err := s.Unplug(byB); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	leave(byC)
}
