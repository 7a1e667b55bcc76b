// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
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
		s.inject(t, s.Far, "to-a", s.question(job[f], byA))
		for heard := false; !heard; { // the answers come one later from here on
			heard = slices.Contains(must[lab.Result](t)(open[f].Send(1, 16)).Replies, "ways")
		}
		s.sends(t, job[f], open[f]).left(t, byB, s.address(byB, job[f].To[0].Addr()))
	}
}

// question is a datagram of the far server's, from a port that nobody is at, to
// where a job's socket is bound, at an uplink's address.
func (s *site) question(job lab.Job, router int) []byte {
	peer := job.To[0]
	return datagram{from: peer.Addr(), to: s.address(router, peer.Addr()), sport: peer.Port(), dport: job.Bind.Port()}.bytes()
}

// ask has the far server ask a job's socket by the first uplink, and waits until it is known.
func (s *site) ask(t *testing.T, job lab.Job) {
	t.Helper()
	s.inject(t, s.Far, "to-a", s.question(job, byA))
	soon(t, "the question is known", func() error {
		known := errors.New("it is not")
		s.arrivals(t, func(a *bpf.WaymarkArrival) {
			if a.LocalPort == job.Bind.Port() && a.Family == uint16(familyOf(job.To[0].Addr())) {
				known = nil
			}
		})
		return known
	})
}

// arrivals has all that is known of questions looked at, and maybe changed.
func (s *site) arrivals(t *testing.T, look func(*bpf.WaymarkArrival)) {
	t.Helper()
	arrivals := must[*ebpf.Map](t)(ebpf.LoadPinnedMap(filepath.Join(s.pins(), bpf.WaymarkMapArrivals), nil))
	defer arrivals.Close()
	var key uint32
	var entry bpf.WaymarkArrival
	for entries := arrivals.Iterate(); entries.Next(&key, &entry); {
		before := entry
		if look(&entry); entry != before {
			if err := arrivals.Put(key, entry); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// unasked is a job of a socket that is bound to a port, whose peer answers nothing.
func unasked(port uint16, f ip) lab.Job {
	job := fromPort(port, f.job(lab.SendTo, 1))
	job.To[0] = netip.AddrPortFrom(job.To[0].Addr(), servicePort-1)
	job.NoReply = true
	return job
}

// TestAskedOfAnother has a socket that is bound to a port be asked by an uplink,
// and one of a class that may not leave there have the port next.
func TestAskedOfAnother(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	for n, f := range bothFamilies {
		job := unasked(uint16(4600+n), f)
		c := must[*lab.Client](t)(s.Host.Open(job))
		s.ask(t, job)
		s.check(t, c.Close())
		s.leaves(t, in("closed.slice", job), byB)
	}
}

// TestAskedLongAgo has the far server ask a socket by one uplink, and the socket
// send to it much later: that is no answer, and goes by its class.
func TestAskedLongAgo(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	for n, f := range bothFamilies {
		job := in("app.slice", unasked(uint16(4700+n), f))
		c := s.open(t, job)
		s.ask(t, job)
		s.sends(t, job, c).left(t, byA, s.address(byA, job.To[0].Addr()))
		s.arrivals(t, func(a *bpf.WaymarkArrival) { a.Seconds -= 300 })
		s.sends(t, job, c).left(t, byB, s.address(byB, job.To[0].Addr()))
	}
}
