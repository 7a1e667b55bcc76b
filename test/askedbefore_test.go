// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"

	"waymark/bpf"
	"waymark/internal/lab"
)

// TestAskedByALostUplink has a datagram socket that is bound to a port, as peers'
// and some clients' are, talk to the far server while the uplink fails: an answer
// that came in by it ties nothing to it any more. Nor do those that come in by the
// next one, when the first is back and the far server still talks to the other.
func TestAskedByALostUplink(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.apply(t, twoUplinks+`
classes:
  - {name: group, route: [b, a], match: [{cgroup: app.slice}]}
`)
	open := map[ip]*lab.Client{}
	job := map[ip]lab.Job{}
	for n, f := range bothFamilies {
		job[f] = in("app.slice", fromPort(uint16(4500+n), f.job(lab.SendTo, 1)))
		open[f] = s.open(t, job[f])
		s.sends(t, job[f], open[f]).left(t, byB, s.address(byB, job[f].To[0].Addr()))
	}
	unplug(t, s, byB)
	for _, f := range bothFamilies {
		soon(t, "the far server answers by the other uplink", func() error {
			s.drain(t)
			r := must[lab.Result](t)(open[f].Send(1, 16))
			source := s.address(byA, job[f].To[0].Addr())
			for _, reply := range r.Replies {
				if replyTo(reply) == source {
					return nil
				}
			}
			return fmt.Errorf("%s: it answered %v: %v", f, r.Replies, r.Err())
		})
		s.sends(t, job[f], open[f]).left(t, byA, s.address(byA, job[f].To[0].Addr()))
	}
	s.check(t, s.Plug(byB))
	for _, f := range bothFamilies {
		far, here := job[f].To[0], netip.AddrPortFrom(s.address(byA, job[f].To[0].Addr()), job[f].Bind.Port())
		s.inject(t, s.Far, "to-a", datagram{from: far.Addr(), to: here.Addr(), sport: far.Port(), dport: here.Port()}.bytes())
		must[lab.Result](t)(open[f].Send(1, 16)) // which takes that for its answer
		s.sends(t, job[f], open[f]).left(t, byB, s.address(byB, far.Addr()))
	}
}

// TestAskedOfAnother has a socket that is bound to a port be answered by an
// uplink, and one of a class that may not leave there have the port next.
func TestAskedOfAnother(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	for _, f := range bothFamilies {
		job := fromPort(4600, f.job(lab.SendTo, 1))
		s.inject(t, s.Far, "to-a", datagram{from: job.To[0].Addr(), to: s.address(byA, job.To[0].Addr()), sport: servicePort, dport: 4600}.bytes())
		s.leaves(t, job, byA)
		s.leaves(t, in("closed.slice", job), byB)
	}
}

// TestAskedLongAgo has a far server ask a socket by one uplink, and the socket
// send to it much later: that is no answer, and goes by its class.
func TestAskedLongAgo(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	for n, f := range bothFamilies {
		job := in("app.slice", fromPort(uint16(4700+n), f.job(lab.SendTo, 1)))
		c := s.open(t, job)
		to := s.address(byA, job.To[0].Addr())
		question := datagram{from: job.To[0].Addr(), to: to, sport: servicePort, dport: job.Bind.Port()}.bytes()
		s.inject(t, s.Far, "to-a", question)
		sends := func() {
			if _, err := c.Send(1, 16); err != nil {
				t.Fatal(err)
			}
		}
		s.arrives(t, job.To[0].Addr(), byA, to, sends)
		s.longAgo(t)
		s.arrives(t, job.To[0].Addr(), byB, s.address(byB, to), sends)
	}
}

// longAgo has all that was asked be asked five minutes earlier.
func (s *site) longAgo(t *testing.T) {
	t.Helper()
	arrivals := must[*ebpf.Map](t)(ebpf.LoadPinnedMap(filepath.Join(s.pins(), bpf.WaymarkMapArrivals), nil))
	defer arrivals.Close()
	var key uint32
	var entry bpf.WaymarkArrival
	for entries := arrivals.Iterate(); entries.Next(&key, &entry); {
		if entry.Family == 0 {
			continue
		}
		entry.Seconds -= 300
		if err := arrivals.Put(key, entry); err != nil {
			t.Fatal(err)
		}
	}
}
