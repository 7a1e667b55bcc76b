// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/lab"
)

// TestHits counts what each match wins: a connect, each datagram of a socket
// that is not connected, each packet without a socket, and nothing for what
// another match wins; across applies that move the matches about.
func TestHits(t *testing.T) {
	s := newSite(t, lab.Options{LAN: true, Forward: true})
	s.cgroups(t, "app.slice")
	const first = `
  - {name: far, route: [b], match: [{dst: 203.0.113.2}, {dst: 203.0.113.3, proto: udp}, {src: 192.168.50.0/24}]}
`
	const second = `
  - {name: group, route: [b], match: [{cgroup: app.slice}]}
`
	s.apply(t, twoUplinks+"\nclasses:"+first+second)
	want := map[string]uint64{}
	run := func(match string, n uint64, from *lab.Node, job lab.Job) {
		t.Helper()
		want[match] += n
		if r := must[lab.Result](t)(from.Run(job)); r.Err() != nil {
			t.Errorf("%s: %v", match, r.Err())
		}
	}
	to := func(n int) []netip.AddrPort { return []netip.AddrPort{v4.service(n)} }
	traffic := func() {
		run("dst: 203.0.113.2", 1, s.Host, lab.Job{Kind: lab.TCP, To: to(2), Cgroup: "app.slice", Count: 3, Size: 10})
		run("dst: 203.0.113.2", 1, s.Host, lab.Job{Kind: lab.UDP, To: to(2), Count: 3, Size: 10})
		run("proto: udp", 5, s.Host, lab.Job{Kind: lab.SendTo, To: to(3), Count: 5, Size: 10})
		run("src: 192.168.50.0/24", 4, s.LAN, lab.Job{Kind: lab.UDP, To: to(1), Count: 4, Size: 10})
		run("cgroup: app.slice", 1, s.Host, lab.Job{Kind: lab.TCP, To: to(1), Cgroup: "app.slice", Count: 1, Size: 10})
	}
	traffic()
	s.wins(t, "first", want)
	s.apply(t, twoUplinks+"\nclasses:"+second+strings.Replace(first, "{dst: 203.0.113.2}, ", "{dst: 203.0.113.4}, {dst: 203.0.113.2}, ", 1))
	s.wins(t, "after the matches have moved", want)
	s.apply(t, twoUplinks+"\nclasses:"+first+second)
	traffic()
	s.wins(t, "and back", want)
	s.apply(t, "mark: {mask: 0x00ff0000}\n"+twoUplinks+"\nclasses:"+first+second)
	traffic()
	s.wins(t, "under another mask", want)
}

// wins compares the hits of the matches, each told by a part of its text, with
// what they have to be; of those that are not named it wants none.
func (s *site) wins(t *testing.T, when string, want map[string]uint64) {
	t.Helper()
	got := map[string]uint64{}
	for _, l := range s.metered(t).Lines {
		name := fmt.Sprint(l.Class, " ", l.Text)
		for part := range want {
			if strings.Contains(l.Text, part) {
				name = part
			}
		}
		if l.Hits > 0 {
			got[name] += l.Hits
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}
