// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/lab"
	"waymark/internal/plan"
)

// clocked is a policy with a hold, by a route that a trial changes.
func clocked(route string) string {
	return "uplinks:\n" +
		"  - {name: a, interface: up-a, probe: {icmp: [203.0.113.1], interval: 1s, down: 3, up: 1, hold: 30s}}\n" + uplinkB +
		"classes:\n  - {name: group, route: [" + route + "], match: [{cgroup: app.slice}]}\n"
}

// ownClock skips but in a guest of test/kernels, whose clock is nobody else's.
func ownClock(t *testing.T) {
	t.Helper()
	if first, _ := os.Readlink("/proc/1/exe"); first != "/init" || os.Getppid() != 1 {
		t.Skip("the clock of this machine is not for a test to set: test/kernels runs this in a guest")
	}
}

// jump sets the clock. What a test measures goes on: Go's time has a second clock.
func jump(t *testing.T, by time.Duration) {
	t.Helper()
	now := unix.NsecToTimeval(time.Now().Add(by).UnixNano())
	if err := unix.Settimeofday(&now); err != nil {
		t.Fatal(err)
	}
}

const year = 365 * 24 * time.Hour

// TestClockIsSet sets the clock forward and back, by hours and years, while something
// waits for its time: a hold, what is healed, a trial and a move. None of them is over
// earlier for that, or later.
func TestClockIsSet(t *testing.T) {
	ownClock(t)
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice", "web.slice")
	a := s.agent(t, clocked("a, b"))
	s.goes(t, "app.slice", byA)

	s.dead(t, byA, true)
	a.says(t, "uplink leads nowhere")
	begun := time.Now()
	jump(t, 10*year)
	s.dead(t, byA, false)
	jump(t, -10*year-2*time.Hour)
	s.unruled(t)
	a.says(t, "uplink is back")
	lasts(t, "the hold", time.Since(begun), 30*time.Second)
	s.goes(t, "app.slice", byA)

	s.ok(t, append([]string{"apply", "--confirm", "100s"}, s.writeAs(t, "try.txt", clocked("b"))...)...)
	trial := time.Now()
	s.ok(t, "move", "web.slice", "group", "--for", "100s")
	move := time.Now()
	for _, by := range []time.Duration{time.Hour, -3 * time.Hour, 10 * year, -30 * year} {
		jump(t, by)
		status := s.status(t)
		if g := status.GoesBack; g == nil || g.In <= 0 || g.In > 100 {
			t.Errorf("after a jump by %s the trial is %+v", by, g)
		}
		if len(status.Overrides) != 1 || len(status.States) != 2 || !status.States[0].InForce {
			t.Errorf("after a jump by %s: moves %+v, states %+v", by, status.Overrides, status.States)
		}
	}
	s.goes(t, "app.slice", byB)
	gone := func(what string, since time.Time, there func() bool) {
		soon(t, what+" is over", func() error {
			if there() {
				return errors.New("it is there")
			}
			return nil
		})
		lasts(t, what, time.Since(since), 100*time.Second)
	}
	gone("the trial", trial, func() bool { return s.status(t).GoesBack != nil })
	gone("the move", move, func() bool { return len(s.status(t).Overrides) > 0 })
	s.goes(t, "app.slice", byA)
	if log := a.logged(); strings.Contains(log, "ERROR") {
		t.Errorf("the agent's log is %s", log)
	}
}

// lasts checks how long something took that takes a time, in a guest that may be slow.
func lasts(t *testing.T, what string, took, want time.Duration) {
	t.Helper()
	if took < want-10*time.Second || took > want+time.Minute {
		t.Errorf("%s took %s, want %s", what, took, want)
	}
}

// unruled takes a rule of ours away, which has to be put back.
func (s *site) unruled(t *testing.T) {
	t.Helper()
	h := s.Host.Handle()
	for _, r := range must[[]netlink.Rule](t)(h.RuleList(unix.AF_INET)) {
		if r.Protocol == plan.Protocol {
			s.check(t, h.RuleDel(&r))
			break
		}
	}
	soon(t, "the rule is put back", func() error {
		if s.heals(t, "rule") == 0 {
			return fmt.Errorf("its record is %+v", s.record(t))
		}
		return nil
	})
}
