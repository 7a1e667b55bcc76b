// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"waymark/internal/lab"
)

// TestSentOn has an administrator's rule send on what the host itself sends, to
// where a class goes that must not leak. Whoever is in no class is in none until
// the end: the RST of a connection is not taken for another's packet, though by
// then its socket has no port, and never knew where it was sent on to.
func TestSentOn(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, strings.Replace(traffic, "tuple, route: [c],", "tuple, route: [c], otherwise: unreachable,", 1))
	s.shell(t, `nft add table inet theirs
nft 'add chain inet theirs out { type nat hook output priority -100; }'
nft add rule inet theirs out ip daddr 203.0.113.2 meta l4proto '{ tcp, udp }' dnat to 203.0.113.3
nft add rule inet theirs out ip6 daddr 2001:db8:f::2 meta l4proto '{ tcp, udp }' dnat to 2001:db8:f::3`)
	t.Cleanup(func() { s.shell(t, "nft delete table inet theirs") })
	for _, f := range bothFamilies {
		for cgroup, uplink := range map[string]int{"": byA, "app.slice": byB} {
			t.Run(fmt.Sprintf("%q/%s", cgroup, f), func(t *testing.T) {
				to := netip.AddrPortFrom(f.service(2).Addr(), servicePort)
				s.blameless(t, func() {
					s.arrives(t, f.service(3).Addr(), uplink, s.address(uplink, to.Addr()), func() { s.work(t, cgroup, "be-an-abrupt-one", to.String()) })
				})
			})
		}
	}
}

// hangUp opens a connection, and ends it by a RST.
func hangUp(args []string) error {
	c, err := net.Dial("tcp", args[0])
	if err != nil {
		return err
	}
	if err := c.(*net.TCPConn).SetLinger(0); err != nil {
		return err
	}
	return c.Close()
}
