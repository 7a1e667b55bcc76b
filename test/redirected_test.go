// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"waymark/internal/lab"
)

// TestRedirected has the far server ask servers on the host by ports that an
// administrator's rule leads to their own: what they answer is theirs, though
// it leaves with another port. To some of who asks, a class that must not leak
// goes by another uplink.
func TestRedirected(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, strings.Replace(traffic, "tuple, route: [c],", "tuple, route: [c], otherwise: unreachable,", 1))
	s.shell(t, `nft add table inet theirs
nft 'add chain inet theirs pre { type nat hook prerouting priority dstnat; }'`)
	t.Cleanup(func() { s.shell(t, "nft delete table inet theirs") })
	for n, cgroup := range []string{"", "app.slice", "closed.slice"} {
		port := uint16(100 + 2*n)
		s.listen(t, cgroup, port)
		s.shell(t, fmt.Sprintf(`nft add rule inet theirs pre tcp dport %[1]d redirect to :%[2]d
nft add rule inet theirs pre udp dport %[1]d redirect to :%[3]d`, 1000+port, port, port+1))
		for uplink := range s.Routers {
			for _, f := range bothFamilies {
				to := netip.AddrPortFrom(s.address(uplink, f.service(1).Addr()), 1000+port)
				for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
					for name, asker := range map[string]netip.Addr{"anybody": {}, "one of a class": f.service(3).Addr()} {
						t.Run(fmt.Sprintf("%q/by uplink %d/%s/%s/%s", cgroup, uplink, name, kind, f), func(t *testing.T) {
							job := lab.Job{Kind: kind, To: []netip.AddrPort{to}}
							if asker.IsValid() {
								job = from(asker, job)
							}
							s.blameless(t, func() { s.answers(t, s.Far, job, uplink) })
						})
					}
				}
			}
		}
	}
}
