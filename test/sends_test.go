// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"testing"

	"waymark/internal/datapath"
	"waymark/internal/lab"
)

// TestFailedSends has sends of a class's sockets fail in each way: each is
// counted once, by its error, and what is sent, or another's, is not.
func TestFailedSends(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice", "other.slice")
	s.apply(t, fourClasses)
	s.shell(t, "nft 'add table inet filtered; add chain inet filtered out {type filter hook output priority 0;}; add rule inet filtered out udp dport 99 drop'")
	defer s.shell(t, "nft delete table inet filtered")
	for _, f := range bothFamilies {
		closed := netip.AddrPortFrom(f.service(1).Addr(), 98)
		filtered := netip.AddrPortFrom(closed.Addr(), 99)
		for _, c := range []struct {
			name  string
			want  datapath.FailedSends
			kind  lab.Kind
			to    netip.AddrPort
			count int
			size  int
		}{
			{"sent", datapath.FailedSends{}, lab.UDP, f.service(1), 3, 10},
			{"too big", datapath.FailedSends{TooBig: 1}, lab.UDP, f.service(1), 1, 70_000},
			{"too big, unconnected", datapath.FailedSends{TooBig: 1}, lab.SendTo, f.service(1), 1, 70_000},
			{"filtered", datapath.FailedSends{Unreachable: 1}, lab.SendTo, filtered, 1, 10},
		} {
			t.Run(string(f)+"/"+c.name, func(t *testing.T) {
				job := lab.Job{Kind: c.kind, To: []netip.AddrPort{c.to}, Cgroup: "app.slice", Count: c.count, Size: c.size, NoReply: true}
				s.failed(t, "group", c.want, job)
				job.Cgroup = "other.slice"
				s.failed(t, "group", datapath.FailedSends{}, job)
			})
		}
		t.Run(string(f)+"/refused", func(t *testing.T) {
			client := s.open(t, lab.Job{Kind: lab.UDP, To: []netip.AddrPort{closed}, Cgroup: "app.slice", NoReply: true})
			before := tallyOf(t, s.metered(t), "group").Sends
			soon(t, "the port's answer comes", func() error {
				if r := must[lab.Result](t)(client.Send(1, 10)); r.Errno != "ECONNREFUSED" {
					return fmt.Errorf("it got %v", r.Err())
				}
				return nil
			})
			before.Refused++
			if now := tallyOf(t, s.metered(t), "group").Sends; now != before {
				t.Errorf("counted are %+v, want %+v", now, before)
			}
		})
	}
}

// failed runs a job, and checks what it adds to a class's failed sends.
func (s *site) failed(t *testing.T, class string, want datapath.FailedSends, job lab.Job) {
	t.Helper()
	before := tallyOf(t, s.metered(t), class).Sends
	_, _ = s.Host.Run(job) // whose error is what is counted
	want.Add(before)
	if now := tallyOf(t, s.metered(t), class).Sends; now != want {
		t.Errorf("counted are %+v, want %+v", now, want)
	}
}
