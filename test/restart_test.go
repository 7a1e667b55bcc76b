// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

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
	sent := end()
	s.quiet(t)
	if diff := cmp.Diff(since(before, s.received(t)), s.counted(t).byUplink()); diff != "" {
		t.Errorf("the sums of all classes are not what the interfaces received (-router +status):\n%s", diff)
	}
	s.onCourse(t, sent)
	if diff := lines(state, s.state(t)); diff != "" {
		t.Errorf("an agent's end changed something (-before +after):\n%s", diff)
	}
}
