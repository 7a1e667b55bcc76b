// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"strings"
	"testing"

	"waymark/internal/lab"
)

// pageMoves gives a class's traffic to another by the page, and sees it
// change lanes.
func (s *site) pageMoves(t *testing.T, b *browser) {
	var asked, done string
	b.step(t, &asked, "move", "subject", "x.service", "to", "exec", "fate", "move")
	if !strings.Contains(asked, "Move x.service to exec?") || !strings.Contains(asked, "Nothing is changed yet") {
		t.Errorf("before a move it asks %q", asked)
	}
	b.step(t, nil, "sure", "yes", false)
	if n := len(s.status(t).Overrides); n != 0 {
		t.Errorf("a move that was not confirmed left %d moves", n)
	}
	b.step(t, &asked, "move", "subject", "x.service", "to", "exec", "fate", "move")
	b.step(t, &done, "sure", "yes", true)
	if !strings.Contains(done, "Done: Move x.service to exec") {
		t.Errorf("after a move it says %q", done)
	}
	o := s.status(t).Overrides
	if len(o) != 1 || o[0].Author != "alice" || o[0].To != "exec" {
		t.Errorf("the moves are %+v", o)
	}
	before := s.counted(t)
	s.leaves(t, in("x.service", v4.job(lab.TCP, 1)), byB)
	soon(t, "the service is in its new lane", func() error {
		row := b.lanes(t)["b"].Rows["exec"]
		if !strings.Contains(row.Note, "x.service") || row.Packets <= before["exec"]["b"].Packets {
			return fmt.Errorf("exec by b is %+v", row)
		}
		return nil
	})
	var past string
	b.step(t, &past, "text", "of", "past")
	if !strings.Contains(past, "by alice") {
		t.Errorf("the changes do not say who moved it:\n%s", past)
	}
	b.step(t, &done, "move", "subject", "nobody.service", "to", "exec", "fate", "")
	if !strings.Contains(done, "no cgroup below") {
		t.Errorf("of a service that there is not it says %q", done)
	}
}

// pageShowsDead takes an uplink away, with a flow that stays on it, and gives
// it back.
func (s *site) pageShowsDead(t *testing.T, b *browser) {
	stays, sends := s.open(t, in("bulk.slice", v4.job(lab.TCP, 1))), in("bulk.slice", v4.job(lab.UDP, 1))
	sends.Count = 1
	if err := s.Unplug(byB); err != nil {
		t.Fatal(err)
	}
	soon(t, "the page shows that uplink b is down", func() error {
		lanes := b.lanes(t)
		_, nowhere := lanes["No way out"].Rows["exec"]
		bulk := lanes["a"].Rows[pageClass]
		if lanes["b"].Badge != "down" || !nowhere || bulk.Note == "" || bulk.Away {
			return fmt.Errorf("the lanes are %+v", lanes)
		}
		return nil
	})
	soon(t, "the page shows which flow stays, and how long the others took", func() error {
		must[lab.Result](t)(s.Host.Run(sends))
		var turns []string
		b.step(t, &turns, "turns")
		if stay := b.lanes(t)["b"].Rows[pageClass].Staying; stay != 1 || len(turns) != 1 || !strings.HasPrefix(turns[0], "b carrier 1 ") || !strings.Contains(turns[0], " / ") {
			return fmt.Errorf("%d stay, and the fail-overs are %q", stay, turns)
		}
		return nil
	})
	b.obeys(t, "after a fail-over")
	if err := s.Plug(byB); err != nil {
		t.Fatal(err)
	}
	if err := stays.Close(); err != nil {
		t.Error(err)
	}
	soon(t, "the page shows that uplink b is up", func() error {
		if lanes := b.lanes(t); lanes["b"].Badge != "up" || len(lanes["No way out"].Rows) > 0 {
			return fmt.Errorf("the lanes are %+v", lanes)
		}
		return nil
	})
}

// pageShowsWithdrawn has an uplink probed by a target that does not answer.
func (s *site) pageShowsWithdrawn(t *testing.T, b *browser) {
	const silent = `gateway: [10.0.2.1, "2001:db8:2::1"], probe: {icmp: [203.0.113.77], interval: 100ms}`
	s.write(t, strings.Replace(pagePolicy, `gateway: [10.0.2.1, "2001:db8:2::1"]`, silent, 1))
	soon(t, "the page shows that uplink b is withdrawn, and why", func() error {
		lanes := b.lanes(t)
		if lanes["b"].Badge != "withdrawn" || !strings.Contains(lanes["b"].Probe, "203.0.113.77") || lanes["a"].Rows[pageClass].Away {
			return fmt.Errorf("the lanes are %+v", lanes)
		}
		return nil
	})
}
