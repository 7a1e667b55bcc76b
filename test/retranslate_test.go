// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// retranslated is a policy whose uplinks give what is forwarded a source of a
// range of their own. One class has b before c, which is all that the other has.
const retranslated = `
uplinks:
  - {name: a, interface: up-a}
  - {name: b, interface: up-b, gateway: [10.0.2.1, "2001:db8:2::1"], snat: [10.0.2.77, "2001:db8:2::77"], probe: {icmp: [203.0.113.1], interval: 100ms, hold: 100ms}}
  - {name: c, interface: up-c, gateway: [10.0.3.1, "2001:db8:3::1"], snat: [10.0.3.77, "2001:db8:3::77"]}
classes:
  - {name: steady, route: [c], match: [{iif: br-lan, dst: [203.0.113.3, "2001:db8:f::3"]}]}
  - {name: guests, route: [b, c], match: [{iif: br-lan}]}
`

// given is the source that an uplink of retranslated gives.
func (f ip) given(router int) netip.Addr {
	return map[ip]map[int]netip.Addr{
		v4: {byB: netip.MustParseAddr("10.0.2.77"), byC: netip.MustParseAddr("10.0.3.77")},
		v6: {byB: netip.MustParseAddr("2001:db8:2::77"), byC: netip.MustParseAddr("2001:db8:3::77")},
	}[f][router]
}

// TestFailOverTranslatesAnew has an uplink fail under flows that are forwarded,
// and come back: their next datagram has a source of the uplink that it leaves
// by, and is answered. A flow that stays where it was stays what it was.
func TestFailOverTranslatesAnew(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3, LAN: true, Forward: true})
	for _, f := range bothFamilies {
		for _, router := range []int{byB, byC} {
			addAddress(t, s.Host, s.Uplink(router).Interface, netip.PrefixFrom(f.given(router), f.given(router).BitLen()))
		}
	}
	s.check(t, s.Host.Sysctl("net.netfilter.nf_conntrack_acct", "1"))
	a := s.agent(t, retranslated)
	flows, steady := map[ip]*lab.Client{}, map[ip]*lab.Client{}
	for _, f := range bothFamilies {
		flows[f] = must[*lab.Client](t)(s.LAN.Open(f.job(lab.UDP, 2)))
		steady[f] = must[*lab.Client](t)(s.LAN.Open(f.job(lab.UDP, 3)))
		t.Cleanup(func() { flows[f].Close(); steady[f].Close() })
	}
	sent := uint64(0)
	goes := func(router int) {
		t.Helper()
		sent++
		for _, f := range bothFamilies {
			s.sends(t, f.job(lab.UDP, 2), flows[f]).left(t, router, f.given(router))
			s.sends(t, f.job(lab.UDP, 3), steady[f]).left(t, byC, f.given(byC))
			if n := s.followed(t, f, f.service(3).Addr()); n != sent {
				t.Errorf("%s: the kernel knows %d packets of the flow that stays, want %d", f, n, sent)
			}
		}
	}
	goes(byB)
	s.dead(t, byB, true)
	s.forgotten(t)
	goes(byC)
	s.dead(t, byB, false)
	s.forgotten(t)
	goes(byB)
	if log := a.logged(); strings.Contains(log, "kind=nat") {
		t.Errorf("the table is put back, though nobody changed it: %s", log)
	}
}

// forgotten waits until the flows that change their uplink have been forgotten.
func (s *site) forgotten(t *testing.T) {
	t.Helper()
	soon(t, "their connections are forgotten", func() error {
		for _, f := range bothFamilies {
			if n := s.followed(t, f, f.service(2).Addr()); n > 0 {
				return fmt.Errorf("%s: one with %d packets is known", f, n)
			}
		}
		return nil
	})
}

// followed is how many datagrams to a destination the host's kernel knows of one
// connection; 0 for none.
func (s *site) followed(t *testing.T, f ip, to netip.Addr) (n uint64) {
	t.Helper()
	s.check(t, s.Host.Do(func() error {
		all, err := netlink.ConntrackTableList(netlink.ConntrackTable, netlink.InetFamily(familyOf(to)))
		for _, c := range all {
			if a, _ := netip.AddrFromSlice(c.Forward.DstIP); a.Unmap() == to && c.Forward.Protocol == unix.IPPROTO_UDP {
				n = c.Forward.Packets
			}
		}
		return err
	}))
	return n
}
