// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"waymark/internal/lab"
)

// failing has a thousand classes prefer b, which is probed ten times a second.
func failing(hold string) string {
	return thousandBy("  - {name: b, interface: up-b, gateway: [10.0.2.1, \"2001:db8:2::1\"], probe: {icmp: [203.0.113.1], interval: 100ms, hold: " + hold + "}}\n")
}

// thousandBy is a policy of a thousand classes that prefer an uplink b. Every
// tenth is not to leave by another.
func thousandBy(uplink string) string {
	var b strings.Builder
	b.WriteString("mark: {mask: 0xb73f0000}\nuplinks:\n" + uplinkA + uplink + "classes:\n")
	for n := range thousand {
		route := "route: [b, a]"
		if isClosed(firstPort + n) {
			route = "route: [b], otherwise: unreachable"
		}
		fmt.Fprintf(&b, "  - {name: class-%d, %s, match: [{proto: [tcp, udp], dport: %d}]}\n", n, route, firstPort+n)
	}
	return b.String()
}

// isClosed tells whether thousandBy has no other way for what goes to a port.
func isClosed(port int) bool { return port%10 == 9 }

// TestConvergence measures how long classes of a thousand are without a way when
// their uplink fails, from the failure to the first packet of the last of them at
// the other router: a gateway that leads nowhere, found by probes; and a cable
// that is pulled, with no agent at all. A thousand packets take their own time,
// which is measured beside it, with nothing broken. Figures are for those who
// read the log; that the classes get there, every time, and that those which have
// no other way are never there, is what is tested.
func TestConvergence(t *testing.T) {
	rounds := many(3, 100)
	t.Run("carrier", func(t *testing.T) {
		s := newSite(t, lab.Options{})
		c := s.aThousand(t, func() { s.apply(t, failing("0s")) })
		s.converges(t, c, rounds, "carrier lost, no agent", func(broken bool) { s.pull(t, byB, broken) })
	})
	t.Run("gateway", func(t *testing.T) {
		s := newSite(t, lab.Options{})
		var a *agentRun
		c := s.aThousand(t, func() { a = s.agent(t, failing("0s")) })
		c.rest = 5 * time.Millisecond
		soon(t, "b answers", func() error {
			if r := s.record(t); r == nil || len(r.Probes) == 0 || r.Probes[0].Targets[0].Latency == 0 {
				return fmt.Errorf("the agent says %+v", r)
			}
			return nil
		})
		s.converges(t, c, rounds, "gateway dead behind a live link", func(broken bool) { s.dead(t, byB, broken) })
		s.turned(t, a, "gateway", rounds)
		s.converges(t, c, 1, "carrier lost, with an agent", func(broken bool) { s.pull(t, byB, broken) })
		s.turned(t, a, "carrier", 1)
	})
}

// aThousand has classes of failing sing, beside ten thousand open flows in the long form.
func (s *site) aThousand(t *testing.T, apply func()) *choir {
	t.Helper()
	s.liveNowhere(t)
	s.swallow(t)
	apply()
	s.openFlowsOf(t, many(0, tenThousand))
	return s.choir(t, many(49, 1))
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

// turned waits until so many failures of b were measured inside, by their cause. On
// a machine that is busy, probes may find more of them.
func (s *site) turned(t *testing.T, a *agentRun, cause string, times int) {
	t.Helper()
	soon(t, "failures of b by "+cause+" are measured", func() error {
		if n := strings.Count(a.logged(), `"classes leave by another uplink" uplink=b cause=`+cause); n < times {
			return fmt.Errorf("%d were, want at least %d", n, times)
		}
		return nil
	})
	for _, turn := range s.metered(t).Turns {
		if turn.Uplink == "b" && turn.Cause == cause && turn.Took.Count >= uint64(times) {
			t.Logf("measured inside, %s: mean %.3f ms", cause, 1e3*turn.Took.Sum/float64(turn.Took.Count))
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

// converges breaks b again and again, and says how long it took each time until
// the first class had sent by a, and until all had; and how long they take to send
// by b. All of them need their turn for that, so it also says when the last packet
// was sent that did not go by a: each later one of every class does.
func (s *site) converges(t *testing.T, c *choir, rounds int, what string, breaks func(bool)) {
	t.Helper()
	var one, all, lost, whole []time.Duration
	for range rounds {
		s.arrivesBy(t, c, byB)
		begun := time.Now()
		whole = append(whole, s.arrivesBy(t, c, byB).last.Sub(begun))
		breaks(true)
		begun = time.Now()
		came := s.arrivesBy(t, c, byA)
		one, all = append(one, came.first.Sub(begun)), append(all, came.last.Sub(begun))
		lost = append(lost, max(0, came.lost.Sub(begun)))
		breaks(false)
	}
	s.arrivesBy(t, c, byB)
	t.Logf("%s: a class sends by a after %s; all after %s; with nothing broken after %s; all that is sent goes by a after %s",
		what, spread(one), spread(all), spread(whole), spread(lost))
}

// arrival is when packets of a choir came by a router: the first, and that of the
// class that was last; and when the last was sent that did not.
type arrival struct{ first, last, lost time.Time }

// arrivesBy has the choir sing until a packet of each class that may go by a router
// has passed it.
func (s *site) arrivesBy(t *testing.T, c *choir, router int) (came arrival) {
	t.Helper()
	s.drain(t) // what was sent before is no news
	var songs []song
	seen := map[uint16]bool{}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(c.rest) {
		songs = append(songs, must[[]song](t)(c.sing())...)
		at := s.collect(t, c.isSung)
		for _, p := range at[byA] {
			if isClosed(int(p.Dst.Port())) {
				t.Fatalf("router a got %s, of a class that may not leave there", p)
			}
		}
		for _, p := range at[router] {
			heard(songs, p)
			if port := p.Dst.Port(); !seen[port] {
				seen[port], came.last = true, p.Time
			}
			if came.first.IsZero() {
				came.first = p.Time
			}
		}
		if len(seen) == c.wanted(router) {
			came.lost = lastLost(songs, router)
			return came
		}
	}
	t.Fatalf("%d of %d classes go by router %d", len(seen), c.wanted(router), router)
	return came
}

const tenThousand = 10_000

// liveNowhere gives the host an address that lives on no uplink, and that the far
// server reaches by a.
func (s *site) liveNowhere(t *testing.T) {
	t.Helper()
	whole := netip.PrefixFrom(v4.homeless(), 32)
	addAddress(t, s.Host, "lo", whole)
	addRoute(t, s.Routers[byA], whole, s.Uplink(byA).Address4)
	addRoute(t, s.Far, whole, netip.MustParseAddr("10.1.1.1"))
}

// openFlowsOf has so many connections open in classes of thousandBy, half of them
// with b's own address, half with one of no uplink's.
func (s *site) openFlowsOf(t *testing.T, n int) {
	t.Helper()
	const each = 2500
	for k := range n / each {
		port := fmt.Sprint(firstPort + k)
		s.worker(t, s.Far, "", "be-a-crowd-of-servers", port)
		from := s.Uplink(byB).Address4
		if k%2 == 1 {
			from = v4.homeless()
		}
		s.worker(t, s.Host, "", "be-a-crowd", from.String(), v4.service(1).Addr().String()+":"+port, fmt.Sprint(each))
	}
}

// spread is a distribution in words.
func spread(d []time.Duration) string {
	slices.Sort(d)
	at := func(q float64) time.Duration {
		return d[min(len(d)-1, int(q*float64(len(d))))].Round(time.Microsecond)
	}
	return fmt.Sprintf("median %s, p99 %s, worst %s of %d", at(0.5), at(0.99), at(1), len(d))
}
