// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"waymark/internal/lab"
)

// The LAN gets another network, which nobody knows of while a policy is
// applied: a private one, as the README says.
const lateLAN4, lateLAN6 = "192.168.51.1", "fd51::1"

func (s *site) late(t *testing.T, verb string) {
	t.Helper()
	for _, c := range [][]string{{lateLAN4 + "/32", "192.168.50.100"}, {lateLAN6 + "/128", "2001:db8:50::100"}} {
		must[string](t)(s.LAN.Command("ip", "address", verb, c[0], "dev", "lo").Output())
		must[string](t)(s.Host.Command("ip", "route", verb, c[0], "via", c[1]).Output())
	}
}

// staysHome checks that what is no way out is there all the same: the host
// itself and its LAN.
func (s *site) staysHome(t *testing.T, when string) {
	t.Helper()
	for _, to := range []string{"127.0.0.1", "::1", "192.168.50.1", "192.168.50.100", "2001:db8:50::1", "2001:db8:50::100",
		"10.0.1.2", "2001:db8:1::2", lateLAN4, lateLAN6} {
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
			for _, cgroup := range fallbackCgroups {
				t.Run(fmt.Sprintf("%s/%s to %s/%s", when, cgroup, to, kind), func(t *testing.T) {
					job := lab.Job{Kind: kind, To: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(to), servicePort)}}
					trip := s.send(t, s.Host, in(cgroup, job))
					if err := trip.Err(); err != nil {
						t.Error(err)
					}
					if at := slices.Concat(trip.at...); len(at) > 0 {
						t.Errorf("the routers got %v, want nothing", at)
					}
				})
			}
		}
	}
}
