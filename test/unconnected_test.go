// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

const destinations = threeUplinks + `
classes:
  - {name: second, route: [b], match: [{dst: [203.0.113.2, "2001:db8:f::2"], proto: udp}]}
  - {name: third, route: [c, a], match: [{dst: [203.0.113.3, "2001:db8:f::3"], dport: 7}]}
  - {name: fourth, route: [a], match: [{dst: [203.0.113.4, "2001:db8:f::4"]}]}
  - {name: group, route: [b], otherwise: unreachable, match: [{cgroup: app.slice}]}
`

// TestUnconnectedSocketWithManyDestinations has one socket send in turn to
// destinations of different classes: every single datagram goes its way.
func TestUnconnectedSocketWithManyDestinations(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	s.apply(t, destinations)
	outside := map[int]int{1: byA, 2: byB, 3: byC, 4: byA} // service to router
	inside := map[int]int{1: byB, 2: byB, 3: byC, 4: byA}
	for _, c := range []struct {
		name     string
		job      lab.Job
		services []int // in the order in which they are sent to
		routers  map[int]int
	}{
		{"unclassed first", lab.Job{Count: 2}, []int{1, 2, 3, 2, 1, 3, 3, 4, 1}, outside},
		{"classed first", lab.Job{Count: 2}, []int{2, 2, 1, 3, 1, 2, 4, 3}, outside},
		{"first by main's uplink", lab.Job{Count: 3}, []int{4, 2, 1, 4, 3}, outside},
		{"in a classed cgroup", lab.Job{Count: 2, Cgroup: "app.slice/x"}, []int{1, 3, 1, 2, 4, 1, 3}, inside},
		{"in fragments", lab.Job{Count: 2, Size: 4000}, []int{2, 1, 3, 1, 4, 2}, outside},
	} {
		for _, f := range ips {
			t.Run(fmt.Sprintf("%s/%s", c.name, f), func(t *testing.T) {
				job := c.job
				job.Kind, job.Mapped = lab.SendTo, f == mapped
				for _, n := range c.services {
					job.To = append(job.To, f.service(n))
				}
				s.scatters(t, job, func(to netip.Addr) int { return c.routers[int(to.AsSlice()[len(to.AsSlice())-1])] })
			})
		}
	}
}

// scatters checks that each of a job's datagrams leaves by the right uplink,
// with its source.
func (s *site) scatters(t *testing.T, job lab.Job, router func(to netip.Addr) int) {
	t.Helper()
	s.drain(t)
	r := must[lab.Result](t)(s.Host.Run(job))
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	seen := map[netip.Addr]int{}
	for n, packets := range s.collect(t, func(p lab.Packet) bool { return p.Proto == unix.IPPROTO_UDP }) {
		for _, p := range packets {
			want := router(p.Dst.Addr())
			if n != want || p.Src.Addr() != s.address(want, p.Dst.Addr()) {
				t.Errorf("router %d got %v; it should pass router %d with that uplink's source", n, p, want)
			}
			if p.Dst.Port() != 0 { // no later fragment
				seen[p.Dst.Addr()]++
			}
		}
	}
	for _, to := range job.To {
		seen[to.Addr()] -= job.Count
	}
	for to, n := range seen {
		if n != 0 {
			t.Errorf("the routers saw %d datagrams to %s too many", n, to)
		}
	}
}

// TestMarkBitsOfOthersStay has applications that mark their sockets
// themselves, outside of the mask: they are classed, and their bits stay.
func TestMarkBitsOfOthersStay(t *testing.T) {
	const theirs, mask = 0x00420007, 0xb7000000
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	s.apply(t, destinations)
	for _, kind := range withDestination {
		for _, f := range ips {
			for _, c := range []struct {
				name    string
				cgroup  string
				service int
				router  int
			}{{"unclassed", "", 1, byA}, {"cgroup", "app.slice", 1, byB}, {"destination", "", 3, byC}} {
				t.Run(fmt.Sprintf("%s/%s/%s", c.name, kind, f), func(t *testing.T) {
					needKind(t, s.Host, kind)
					job := f.job(kind, c.service)
					job.Cgroup, job.Mark = c.cgroup, theirs
					trip := s.send(t, s.Host, job)
					trip.left(t, c.router, s.address(c.router, job.To[0].Addr()))
					if trip.Mark&^mask != theirs {
						t.Errorf("the socket's mark is %#x, want the bits %#x in it", trip.Mark, theirs)
					}
				})
			}
		}
	}
}
