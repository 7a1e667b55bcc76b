// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"waymark/internal/lab"
	"waymark/loader"
)

// flaps is ten times a second.
const flaps = 50 * time.Millisecond

// TestFlap has a cable come and go ten times a second: the class that has
// another way takes it and stays there until the uplink has held, and the one
// that has none is never at another router.
func TestFlap(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice", "closed.slice")
	a := s.agent(t, returning("1h"))
	s.goes(t, "app.slice", byB)
	group, closed := s.trickles(t, "app.slice"), s.trickles(t, "closed.slice")
	begin(slices.Concat(group, closed))
	s.flap(t, 10)
	s.holds(t)
	s.neverAt(t, byA, closed)
	s.drain(t)
	s.flap(t, 10)
	s.neverAt(t, byB, slices.Concat(group, closed))
	s.goes(t, "app.slice", byA)
	end(slices.Concat(group, closed))
	s.neverAt(t, byA, closed)
	if n := strings.Count(a.logged(), "uplink is back"); n > 0 {
		t.Errorf("it came back %d times within its hold", n)
	}
}

// holds waits until b has its link and its classes have no route by it.
func (s *site) holds(t *testing.T) {
	t.Helper()
	soon(t, "b is withdrawn while it holds", func() error {
		u := item[loader.Status](t, s.ok(t, "status", "-o", "json")).Uplinks[byB]
		routes := must[string](t)(s.Host.Command("ip", "route", "show", "table", fmt.Sprint(u.Table), "default").Output()) +
			must[string](t)(s.Host.Command("ip", "-6", "route", "show", "table", fmt.Sprint(u.Table), "default").Output())
		if !u.Up || u.Withdrawn == "" || routes != "" {
			return fmt.Errorf("uplink b: %+v, its routes: %s", u, routes)
		}
		return nil
	})
}

// flap has b's cable come and go so often. It ends with the cable plugged.
func (s *site) flap(t *testing.T, times int) {
	t.Helper()
	for range times {
		for _, up := range []bool{false, true} {
			s.check(t, s.Routers[byB].SetLink("down", up))
			time.Sleep(flaps)
		}
	}
}

// TestFlapOfAThousand has a thousand classes and ten thousand open flows on an
// uplink that flaps for a minute: they come back once per hold at most, and the
// agent takes little of a CPU.
func TestFlapOfAThousand(t *testing.T) {
	if !*long {
		t.Skip("without -long: it flaps for a minute")
	}
	const hold = 5 * time.Second
	s := newSite(t, lab.Options{})
	s.liveNowhere(t)
	s.swallow(t)
	a := s.agent(t, failing(hold.String()))
	s.openFlowsOf(t, tenThousand)
	c := s.choir(t, 99)
	s.arrivesBy(t, c, byB)
	s.drain(t)
	end := c.singOn()
	used, begun := a.processorTime(t), time.Now()
	at := make([][]lab.Packet, len(s.captures))
	for time.Since(begun) < time.Minute {
		s.flap(t, 10)
		for n, got := range s.collect(t, c.isSung) {
			at[n] = append(at[n], got...)
		}
	}
	s.check(t, end())
	took := time.Since(begun)
	used = a.processorTime(t) - used
	for _, p := range at[byA] {
		if isClosed(int(p.Dst.Port())) {
			t.Fatalf("router a got %s, of a class that may not leave there", p)
		}
	}
	back := returns(at, firstPort)
	t.Logf("%d times back to b in %s; the agent used %s, %.1f %% of a core", back, took, used, 100*used.Seconds()/took.Seconds())
	if most := 1 + int(took/hold); back > most {
		t.Errorf("it went back to b %d times, want at most %d", back, most)
	}
	if used > took/20 {
		t.Errorf("the agent used %s of CPU time in %s", used, took)
	}
}

// singOn has a choir sing every millisecond or so, until end.
func (c *choir) singOn() (end func() error) {
	quit, failed := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-quit:
				failed <- nil
				return
			case <-time.After(time.Millisecond):
				if _, err := c.sing(); err != nil {
					failed <- err
					return
				}
			}
		}
	}()
	return func() error {
		close(quit)
		return <-failed
	}
}

// returns is how often packets to a port went by b after they had gone by a.
func returns(at [][]lab.Packet, port uint16) (n int) {
	type sight struct {
		at     time.Time
		router int
	}
	var all []sight
	for router, packets := range at {
		for _, p := range packets {
			if p.Dst.Port() == port {
				all = append(all, sight{p.Time, router})
			}
		}
	}
	slices.SortFunc(all, func(x, y sight) int { return x.at.Compare(y.at) })
	for k := 1; k < len(all); k++ {
		if all[k].router == byB && all[k-1].router == byA {
			n++
		}
	}
	return n
}
