// SPDX-License-Identifier: Apache-2.0

package test

import (
	"net/netip"
	"testing"

	"waymark/internal/datapath"
	"waymark/internal/lab"
)

func noRoute(c *datapath.Causes) *uint64 { return &c.NoRoute }

// TestNoRoute has datagrams of sockets that were open before the apply, while
// their class has no way at all: what may not leak is dropped by that cause,
// and the other follows main.
func TestNoRoute(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	open := func(cgroup string, source netip.Addr, f ip) *lab.Client {
		job := in(cgroup, from(source, f.job(lab.UDP, 1)))
		job.NoReply = true
		return s.open(t, job)
	}
	closed, bound, other := map[ip]*lab.Client{}, map[ip]*lab.Client{}, map[ip]*lab.Client{}
	for _, f := range bothFamilies {
		closed[f], other[f] = open("closed.slice", f.homeless(), f), open("app.slice", f.homeless(), f)
		bound[f] = open("closed.slice", s.address(byA, f.service(1).Addr()), f)
	}
	s.apply(t, traffic)
	if err := s.Unplug(byB); err != nil {
		t.Fatal(err)
	}
	for _, f := range bothFamilies {
		to := f.service(1).Addr()
		t.Run("no leak/"+string(f), func(t *testing.T) {
			s.drain(t)
			s.account(t, ledger{"closed a": dropped(misrouted(1, noRoute))}, func() { s.sendOne(t, closed[f]) })
			s.drainOf(t, -1, func(p lab.Packet) bool { return p.Dst.Addr() == to }, to)
		})
		t.Run("bound to where it leaves/"+string(f), func(t *testing.T) {
			own := s.address(byA, to)
			s.account(t, ledger{"closed a": misrouted(1, chosen)}, func() {
				s.arrives(t, to, byA, own, func() { s.sendOne(t, bound[f]) })
			})
		})
		t.Run("by main/"+string(f), func(t *testing.T) {
			s.account(t, ledger{}, func() { s.arrives(t, to, byA, f.homeless(), func() { s.sendOne(t, other[f]) }) })
		})
	}
	if err := s.Plug(byB); err != nil {
		t.Fatal(err)
	}
	for _, f := range bothFamilies { // which the router lost with its link
		addRoute(t, s.Routers[byB], netip.PrefixFrom(f.homeless(), f.homeless().BitLen()), s.address(byB, f.homeless()))
	}
}

func (s *site) sendOne(t *testing.T, c *lab.Client) {
	t.Helper()
	if r := must[lab.Result](t)(c.Send(1, 16)); r.Err() != nil {
		t.Error(r.Err())
	}
}
