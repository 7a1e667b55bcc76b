// SPDX-License-Identifier: Apache-2.0

package test

import (
	"net/netip"
	"testing"

	"waymark/internal/lab"
)

// oneFamilyEach has classes that may leave by nothing but an uplink of one family,
// and one that may leave by both.
const oneFamilyEach = twoUplinks + `
classes:
  - {name: six, route: [b], otherwise: unreachable, match: [{cgroup: six.slice}, {dst: 203.0.113.3}]}
  - {name: four, route: [a], strict: true, otherwise: unreachable, match: [{cgroup: four.slice}]}
  - {name: any, route: [b, a], match: [{cgroup: any.slice}]}
`

// TestOneFamilyEach has one uplink of IPv4 and one of IPv6. What has no way in
// its family is told so at once, and the host's own addresses are reached by all.
func TestOneFamilyEach(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "six.slice", "four.slice", "any.slice")
	s.shell(t, "ip -6 route del default; ip -6 addr flush dev up-a scope global; ip -4 addr flush dev up-b")
	s.apply(t, oneFamilyEach)
	for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
		for f, router := range map[ip]int{v4: byA, mapped: byA, v6: byB} {
			s.leaves(t, in("any.slice", f.job(kind, 1)), router)
		}
		s.leaves(t, in("four.slice", v4.job(kind, 1)), byA)
		s.leaves(t, in("six.slice", v6.job(kind, 1)), byB)
		s.fails(t, in("four.slice", v6.job(kind, 1)), "ENETUNREACH")
		s.fails(t, in("six.slice", v4.job(kind, 1)), "ENETUNREACH")
		s.fails(t, v4.job(kind, 3), "ENETUNREACH")
	}
	must[*lab.Server](t)(s.Host.Serve(8))
	for _, own := range []netip.Addr{netip.IPv6Loopback(), s.Uplink(byB).Address6} {
		job := in("four.slice", lab.Job{Kind: lab.TCP, To: []netip.AddrPort{netip.AddrPortFrom(own, 8)}, Count: 1, Size: 16})
		if err := must[lab.Result](t)(s.Host.Run(job)).Err(); err != nil {
			t.Errorf("the host's own %s: %v", own, err)
		}
	}
}
