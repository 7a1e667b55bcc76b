// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"waymark/internal/lab"
)

// TestRestarts starts the agent again and again under traffic of four classes,
// by sockets old and new, and ends it as a service manager does, or with
// kill -9: no packet leaves by a wrong uplink, and each is counted once.
func TestRestarts(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.apply(t, fourClasses)
	before, state := s.received(t), s.state(t)
	end := s.stream(t, many(5_000, 12_500))
	last := s.counted(t)
	for n := range many(6, 100) {
		a := s.agent(t, fourClasses)
		if n%2 == 0 {
			a.kill(t)
		} else {
			a.stop(t)
		}
		last = s.noLess(t, fmt.Sprintf("restart %d", n), last)
	}
	s.balances(t, before, end())
	if diff := lines(state, s.state(t)); diff != "" {
		t.Errorf("an agent's end changed something (-before +after):\n%s", diff)
	}
}

// TestUpgradeThatIsKilled kills an apply that makes an instance anew when all
// hooks have its programs and it is not yet in force: the next command undoes
// it, and what it counted until then is counted.
func TestUpgradeThatIsKilled(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.apply(t, fourClasses)
	args := append([]string{"apply"}, s.writeAs(t, "more.yaml", strings.Replace(fourClasses, uplinkB, uplinkB+unplugged(7), 1))...)
	var last change
	s.changesOf(t, args, func(c change) bool {
		if c.kind == "bpf LINK_UPDATE" && c.after {
			last = c
		}
		return false
	})
	if last.n == 0 {
		t.Fatal("the apply took no hook over")
	}
	s.ok(t, "down")
	for range many(2, 20) {
		s.apply(t, fourClasses)
		before := s.received(t)
		end := s.stream(t, 2_000)
		if _, code := s.changesOf(t, args, func(c change) bool { return c.n == last.n && c.after }); code != -1 {
			t.Fatalf("exit %d, want that it was killed", code)
		}
		time.Sleep(100 * time.Millisecond) // under the programs of the one that is gone
		s.waymark(t, "confirm")            // has nothing to confirm, and undoes what was begun
		s.balances(t, before, end())
		s.ok(t, "down")
		s.gone(t)
	}
}
