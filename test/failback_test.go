// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// returning is a policy of two classes that prefer b, which is probed: one has
// another way when b fails, and one is not to leave by any other.
func returning(hold string) string {
	return "uplinks:\n" + uplinkA +
		"  - {name: b, interface: up-b, gateway: [10.0.2.1, \"2001:db8:2::1\"], probe: {icmp: [203.0.113.1], interval: 100ms, hold: " + hold + "}}\n" + `
classes:
  - {name: group, route: [b, a], match: [{cgroup: app.slice}]}
  - {name: closed, route: [b], otherwise: unreachable, match: [{cgroup: closed.slice}]}
`
}

// A trickle is a socket that sends one datagram after the other until it is
// ended, and asks for no answer.
type trickle struct {
	name   string
	client *lab.Client
	port   uint16
	end    func() (sent int)
}

// trickles opens them: by cgroup, in each family, unconnected.
func (s *site) trickles(t *testing.T, cgroup string) (all []*trickle) {
	t.Helper()
	for _, f := range bothFamilies {
		job := in(cgroup, f.job(lab.SendTo, 1))
		job.NoReply = true
		c := s.open(t, job)
		r := must[lab.Result](t)(c.Send(1, 16)) // which gives it a port
		all = append(all, &trickle{name: cgroup + "/" + string(f), client: c, port: r.Local.Port()})
	}
	return all
}

// begin has it send until end, which says how many datagrams left: those that
// are refused did not.
func (k *trickle) begin() {
	quit, sent := make(chan struct{}), make(chan int)
	go func() {
		for n := 0; ; {
			select {
			case <-quit:
				sent <- n
				return
			case <-time.After(time.Millisecond):
				r, _ := k.client.Send(1, 16)
				n += r.Sent
			}
		}
	}()
	k.end = func() int {
		close(quit)
		return <-sent
	}
}

// TestFailBack has an uplink come back while its classes send by another, and
// both ways reach the peer: no datagram is lost, flows that stay go on, and
// nothing of the class that has no other way was ever at another router.
func TestFailBack(t *testing.T) {
	for name, breaks := range map[string]func(*site, *testing.T, bool){
		"gateway": func(s *site, t *testing.T, broken bool) { s.dead(t, byB, broken) },
		// Plug would wait for silence.
		"carrier": func(s *site, t *testing.T, broken bool) { s.check(t, s.Routers[byB].SetLink("down", !broken)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, lab.Options{})
			s.cgroups(t, "app.slice", "closed.slice")
			a := s.agent(t, returning("300ms"))
			s.goes(t, "app.slice", byB)
			far := []*lab.Capture{must[*lab.Capture](t)(s.Far.Capture("to-a")), must[*lab.Capture](t)(s.Far.Capture("to-b"))}
			group, closed := s.trickles(t, "app.slice"), s.trickles(t, "closed.slice")
			total := 0
			for n := range many(1, 20) {
				s.drain(t)
				begin(closed)
				breaks(s, t, true)
				a.saysAgain(t, "leads nowhere", n) // the kernel is quicker where a carrier goes
				s.goes(t, "app.slice", byA)
				chosen, bound := s.tied(t, byA)
				for _, c := range far {
					must[[]lab.Packet](t)(c.Packets())
				}
				begin(group)
				breaks(s, t, false)
				a.saysAgain(t, "uplink is back", n)
				s.goes(t, "app.slice", byB)
				total += arrived(t, far, end(group))
				end(closed)
				s.neverAt(t, byA, closed)
				s.leave(t, slices.Concat(chosen, bound), byA)
			}
			t.Logf("%d datagrams, none lost", total)
		})
	}
}

// TestDownFromTheStart has an agent find an uplink without a carrier, and say so.
func TestDownFromTheStart(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.mark(t)
	s.check(t, s.Routers[byB].SetLink("down", false))
	a := s.agent(t, returning("300ms"))
	a.says(t, "leads nowhere")
	s.goes(t, "app.slice", byA)
	s.check(t, s.Routers[byB].SetLink("down", true))
	a.says(t, "uplink is back")
	s.goes(t, "app.slice", byB)
}

func begin(all []*trickle) {
	for _, k := range all {
		k.begin()
	}
}

// end ends them, and returns how many datagrams left of each.
func end(all []*trickle) map[*trickle]int {
	sent := map[*trickle]int{}
	for _, k := range all {
		sent[k] = k.end()
	}
	return sent
}

// arrived waits until the far server got all that was sent, each once, some of
// it by either way.
func arrived(t *testing.T, far []*lab.Capture, sent map[*trickle]int) (total int) {
	t.Helper()
	ways := map[uint16]*[2]int{}
	for k := range sent {
		ways[k.port] = &[2]int{}
	}
	soon(t, "all datagrams arrive", func() error {
		for n, c := range far {
			for _, p := range must[[]lab.Packet](t)(c.Packets()) {
				if got := ways[p.Src.Port()]; got != nil && p.Proto == unix.IPPROTO_UDP {
					got[n]++
				}
			}
		}
		for k, want := range sent {
			if got := ways[k.port]; got[byA]+got[byB] != want {
				return fmt.Errorf("%s: %v of %d datagrams came by a and b", k.name, *got, want)
			}
		}
		return nil
	})
	for k, n := range sent {
		if total += n; ways[k.port][byA] == 0 || ways[k.port][byB] == 0 {
			t.Errorf("%s: %v datagrams came by a and b, want some by each: it did not send while it came back", k.name, *ways[k.port])
		}
	}
	return total
}

// neverAt checks that a router got nothing of these.
func (s *site) neverAt(t *testing.T, router int, forbidden []*trickle) {
	t.Helper()
	for _, p := range must[[]lab.Packet](t)(s.captures[router].Packets()) {
		for _, k := range forbidden {
			if p.Proto == unix.IPPROTO_UDP && p.Src.Port() == k.port {
				t.Fatalf("router %d got %s of %s, which may not leave there", router, p, k.name)
			}
		}
	}
}
