// SPDX-License-Identifier: Apache-2.0

package test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/lab"
)

const fourClasses = twoUplinks + `
classes:
  - {name: tuple, route: [b], match: [{dst: [203.0.113.2, "2001:db8:f::2"]}]}
  - {name: port, route: [b, a], match: [{dst: [203.0.113.3, "2001:db8:f::3"], dport: 7}]}
  - {name: user, route: [a], match: [{uid: 2000}]}
  - {name: group, route: [b], otherwise: unreachable, match: [{cgroup: app.slice}]}
`

// load is the traffic of each class, told apart at the routers by its
// destination.
var load = []struct {
	class   string
	service int
	uplink  int
	job     lab.Job
}{
	{"tuple", 2, byB, lab.Job{}},
	{"port", 3, byB, lab.Job{}},
	{"user", 4, byA, lab.Job{UID: 2000, GID: 2000}},
	{"group", 1, byB, lab.Job{Cgroup: "app.slice/x"}},
	{"unclassed", 0, byA, lab.Job{}}, // to the far server's address on the link to a's router
}

// TestExactCounts holds what status says against what the routers'
// interfaces counted and what was captured there, to the packet and byte.
func TestExactCounts(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.apply(t, fourClasses)
	before := s.received(t)
	captured := s.counting(t, classByDestination)
	for _, l := range load {
		for _, f := range ips {
			s.bear(t, l.class, l.service, f, l.job)
		}
	}
	s.alternate(t)
	s.quiet(t)
	links, ours := since(before, s.received(t)), s.counted(t)
	total := links["a"].Packets + links["b"].Packets
	t.Logf("%d packets", total)
	if total < 100_000 {
		t.Errorf("%d packets are no test of exactness", total)
	}
	if diff := cmp.Diff(links, ours.byUplink()); diff != "" {
		t.Errorf("the sums of all classes are not what the interfaces received (-router +status):\n%s", diff)
	}
	if diff := cmp.Diff(captured(), ours); diff != "" {
		t.Errorf("the classes' counts are not what was captured (-router +status):\n%s", diff)
	}
}

// bear sends one class's traffic of one family: datagrams of several sizes,
// fragments among them, by both kinds of socket, and streams.
func (s *site) bear(t *testing.T, class string, service int, f ip, job lab.Job) {
	t.Helper()
	to := f.service(service)
	if class == "unclassed" {
		to = netip.AddrPortFrom(f.onLink(), servicePort)
	}
	job.To, job.Mapped = []netip.AddrPort{to}, f == mapped
	for _, c := range []struct {
		kind         lab.Kind
		rounds, size int
	}{{lab.UDP, 16, 1}, {lab.UDP, 4, 1400}, {lab.SendTo, 16, 200}, {lab.TCP, 8, 900}, {lab.UDP, 4, 3000}} {
		job.Kind = c.kind
		s.rounds(t, job, c.rounds, 150, c.size)
	}
}

// alternate sends from one socket to one class after the other, in fragments.
func (s *site) alternate(t *testing.T) {
	t.Helper()
	for _, f := range ips {
		job := lab.Job{Kind: lab.SendTo, Mapped: f == mapped}
		for _, n := range []int{2, 3, 2} {
			job.To = append(job.To, f.service(n), netip.AddrPortFrom(f.onLink(), servicePort))
		}
		s.rounds(t, job, 5, 20, 2000)
	}
}

// rounds sends so many messages to each destination in each round. (No more
// in one than the socket's buffer holds of the answers.)
func (s *site) rounds(t *testing.T, job lab.Job, rounds, count, size int) {
	t.Helper()
	client := must[*lab.Client](t)(s.Host.Open(job))
	for range rounds {
		if r := must[lab.Result](t)(client.Send(count, size)); r.Err() != nil {
			t.Errorf("%s to %s: %v", job.Kind, job.To[0], r.Err())
		}
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
}

// onLink is the far server's address on the link to the first router.
func (f ip) onLink() netip.Addr {
	if f == v6 {
		return netip.MustParseAddr("2001:db8:1:1::2")
	}
	return netip.MustParseAddr("10.1.1.2")
}

func classByDestination(to netip.Addr) string {
	for _, l := range load {
		if l.service > 0 && (to == lab.Service4(l.service) || to == lab.Service6(l.service)) {
			return l.class
		}
	}
	return "unclassed"
}
