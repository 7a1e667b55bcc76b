// SPDX-License-Identifier: Apache-2.0

package test

import (
	"net/netip"
	"testing"
	"time"

	"waymark/internal/datapath"
	"waymark/internal/lab"
	"waymark/internal/plan"
)

// TestUnruled takes away what the kernel routes classes by, as networkd does
// when it configures a link: until it is back, main's default answers for every
// class. A class that must not leak does not leave by it. What main knows by
// more stays reachable, and with the tables there open flows go on by them.
func TestUnruled(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	silent := must[map[plan.Family]bool](t)(datapath.Silent())
	open := s.openAll(t, "closed.slice")
	const rules = "ip rule flush protocol 119; ip -6 rule flush protocol 119"
	s.shell(t, rules)
	s.refusesMain(t)
	for c, job := range open {
		if !silent[plan.FamilyOf(job.To[0].Addr())] {
			s.sends(t, job, c).stays(t, byB, s.address(byB, job.To[0].Addr()))
		}
	}
	s.shell(t, "for n in 7000 7001 7002; do ip route flush table $n; ip -6 route flush table $n; done")
	s.refusesMain(t)
	s.apply(t, traffic)
	s.follow(t, "closed.slice", byB)
	open.stay(t, s, byB)
}

// refusesMain checks that new flows of closed.slice reach no router but as a
// neighbour, and that another class's go by main.
func (s *site) refusesMain(t *testing.T) {
	t.Helper()
	for _, f := range bothFamilies {
		to := f.service(1)
		s.drain(t)
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
			job := in("closed.slice", f.job(kind, 1))
			job.Count, job.Size, job.Timeout = 1, 16, 300*time.Millisecond
			must[lab.Result](t)(s.Host.Run(job))
		}
		for _, n := range []int{byA, byC} {
			for _, p := range must[[]lab.Packet](t)(s.captures[n].Packets()) {
				if p.Dst == to {
					t.Errorf("router %d got %v from a class that must not leave there", n, p)
				}
			}
		}
		neighbour := netip.AddrPortFrom(map[ip]netip.Addr{v4: s.Uplink(byA).Gateway4, v6: s.Uplink(byA).Gateway6}[f], 9)
		s.arrives(t, neighbour.Addr(), byA, s.address(byA, neighbour.Addr()), func() {
			job := in("closed.slice", lab.Job{Kind: lab.UDP, To: []netip.AddrPort{neighbour}, Count: 1, Size: 16, NoReply: true})
			must[lab.Result](t)(s.Host.Run(job))
		})
		s.leaves(t, in("app.slice", f.job(lab.TCP, 1)), byA)
	}
}
