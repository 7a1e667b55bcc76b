// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// failing is a policy of a thousand classes that prefer b, which is probed ten
// times a second.
func failing() string {
	var b strings.Builder
	b.WriteString("mark: {mask: 0xb73f0000}\nuplinks:\n" + uplinkA +
		"  - {name: b, interface: up-b, gateway: [10.0.2.1, \"2001:db8:2::1\"], probe: {icmp: [203.0.113.1], interval: 100ms, hold: 0s}}\nclasses:\n")
	for n := range thousand {
		fmt.Fprintf(&b, "  - {name: class-%d, route: [b, a], match: [{proto: udp, dport: %d}]}\n", n, firstPort+n)
	}
	return b.String()
}

// TestConvergence measures how long a class of a thousand is without a way when
// its uplink fails, from the failure to its first packet at the other router:
// a gateway that leads nowhere, found by probes; and a cable that is pulled,
// with no agent at all. Figures are for those who read the log; that the
// class gets there, every time, is what is tested.
func TestConvergence(t *testing.T) {
	rounds := 3
	if *long {
		rounds = 100
	}
	s := newSite(t, lab.Options{})
	a := s.agent(t, failing())
	job := v4.job(lab.SendTo, 1)
	job.To = job.To[:1]
	job = toPort(firstPort+500, job)
	job.NoReply = true
	c := must[*lab.Client](t)(s.Host.Open(job))
	defer c.Close()
	soon(t, "b answers", func() error {
		if r := s.record(t); r == nil || len(r.Probes) == 0 || r.Probes[0].Targets[0].Latency == 0 {
			return fmt.Errorf("the agent says %+v", r)
		}
		return nil
	})

	dead := s.converges(t, c, rounds, func(broken bool) { s.dead(t, byB, broken) })
	t.Logf("gateway dead behind a live link: %s", spread(dead))
	s.turned(t, a, "gateway", rounds)
	s.converges(t, c, 1, func(broken bool) { s.pull(t, byB, broken) })
	s.turned(t, a, "carrier", 1)
	a.stop(t)
	carrier := s.converges(t, c, rounds, func(broken bool) { s.pull(t, byB, broken) })
	t.Logf("carrier lost, no agent: %s", spread(carrier))
}

// pull pulls an uplink's cable, or plugs it.
func (s *site) pull(t *testing.T, router int, out bool) {
	t.Helper()
	if out {
		s.check(t, s.Unplug(router))
	} else {
		s.check(t, s.Plug(router))
	}
}

// turned waits until so many failures of b were measured inside, by their cause.
func (s *site) turned(t *testing.T, a *agentRun, cause string, times int) {
	t.Helper()
	soon(t, "failures of b by "+cause+" are measured", func() error {
		if n := strings.Count(a.logged(), `"classes leave by another uplink" uplink=b cause=`+cause); n != times {
			return fmt.Errorf("%d were, want %d", n, times)
		}
		return nil
	})
	for _, turn := range s.metered(t).Turns {
		if turn.Uplink == "b" && turn.Cause == cause && turn.Took.Count == uint64(times) {
			t.Logf("measured inside, %s: mean %.3f ms", cause, 1e3*turn.Took.Sum/float64(times))
			return
		}
	}
	t.Errorf("the meter does not say that b failed %d times by its %s", times, cause)
}

func (s *site) check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// converges breaks b again and again, and returns how long each time the next
// packet by a took.
func (s *site) converges(t *testing.T, c *lab.Client, rounds int, breaks func(bool)) (took []time.Duration) {
	t.Helper()
	for range rounds {
		s.arrivesBy(t, c, byB)
		breaks(true)
		begun := time.Now()
		first := s.arrivesBy(t, c, byA)
		took = append(took, first.Sub(begun))
		breaks(false)
	}
	s.arrivesBy(t, c, byB)
	return took
}

// arrivesBy has the client send, a packet a millisecond or so, until one of
// its packets passes a router, and returns when that did.
func (s *site) arrivesBy(t *testing.T, c *lab.Client, router int) time.Time {
	t.Helper()
	must[[]lab.Packet](t)(s.captures[router].Packets()) // those of before are no news
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		// One that is refused, or finds no neighbour, is what is measured.
		_, _ = c.Send(1, 10)
		for _, p := range must[[]lab.Packet](t)(s.captures[router].Packets()) {
			if p.Proto == unix.IPPROTO_UDP && p.Dst.Port() == firstPort+500 {
				return p.Time
			}
		}
	}
	t.Fatalf("it does not go by router %d", router)
	return time.Time{}
}

// spread is a distribution in words.
func spread(d []time.Duration) string {
	slices.Sort(d)
	at := func(q float64) time.Duration {
		return d[min(len(d)-1, int(q*float64(len(d))))].Round(time.Microsecond)
	}
	return fmt.Sprintf("median %s, p99 %s, worst %s of %d", at(0.5), at(0.99), at(1), len(d))
}
