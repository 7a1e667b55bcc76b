// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"net/netip"
	"testing"
	"time"

	"waymark/internal/plan"
	"waymark/internal/rpdb"
)

// TestPace has something to look at all the time: at first a look follows the
// other, in a storm they take little of a CPU, and none waits too long.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		look, first time.Duration // what one takes, and the wait after the first of all, and of a quiet minute later
		part        time.Duration // of a CPU in a storm, at most
	}{
		{time.Millisecond, 10 * time.Millisecond, 75},
		{10 * time.Millisecond, 100 * time.Millisecond, 50},
		{100 * time.Millisecond, patience, 6},
	} {
		var p pace
		now := time.Unix(1000, 0)
		look := func() time.Duration {
			now = now.Add(c.look)
			p.looked(now, c.look)
			wait := p.next.Sub(now)
			if soon := p.soon.Sub(now); soon != min(patience, 2*c.look) {
				t.Errorf("a look of %s in a hurry waits for %s", c.look, soon)
			}
			if late := p.late.Sub(now); late != max(wait, 10*c.look) {
				t.Errorf("a look of %s of what can wait waits for %s", c.look, late)
			}
			if now = p.next; wait > patience {
				t.Errorf("a look of %s waits for %s", c.look, wait)
			}
			return wait
		}
		first := look()
		for range 1000 {
			look()
		}
		begun := now
		for range 1000 {
			look()
		}
		if took := now.Sub(begun); took < 1000*c.look*c.part {
			t.Errorf("1000 looks of %s in %s: more than a %dth of a CPU", c.look, took, c.part)
		}
		now = now.Add(time.Minute)
		if calm := look(); first != c.first || calm != c.first {
			t.Errorf("after a look of %s the next one waits for %s, after a storm for %s, want %s", c.look, first, calm, c.first)
		}
	}
}

// TestCanWait is of what a routing daemon does all the time, and of what it may do
// to the uplinks.
func TestCanWait(t *testing.T) {
	const daemon, kernel, boot = 186, 2, 3
	route := func(dst string, protocol uint8) rpdb.Change {
		return rpdb.Change{Route: &plan.Route{Dst: netip.MustParsePrefix(dst), Protocol: protocol}}
	}
	for want, changes := range map[bool][]rpdb.Change{
		true:  {route("203.0.113.0/24", daemon), route("2001:db8::/32", boot)},
		false: {route("0.0.0.0/0", daemon), route("::/0", boot), route("10.0.1.0/24", kernel), route("10.0.1.0/24", plan.Protocol), {Rule: &plan.Rule{}}, {}},
	} {
		for _, c := range changes {
			if canWait(c) != want {
				t.Errorf("%+v can wait: %v", c.Route, !want)
			}
		}
	}
}
