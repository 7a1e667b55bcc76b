// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"waymark/internal/lab"
)

// TestBouncedAddress has a client take an uplink's address away and give it back at
// once, as one does that renews its lease, again and again: the kernel drops all
// routes with that, the agent has them back each time, and neither counts it as
// damage nor holds it back as somebody's who will not stop.
func TestBouncedAddress(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	a := s.agent(t, twoUplinks+"classes: [{name: group, route: [b, a], match: [{cgroup: app.slice}]}]\n")
	s.goes(t, "app.slice", byB)
	for range 5 {
		s.shell(t, "printf 'addr del 10.0.2.2/24 dev up-b\\naddr add 10.0.2.2/24 brd + dev up-b\\n' | ip -batch -")
		s.hasDefaults(t, 1)
		time.Sleep(100 * time.Millisecond)
	}
	s.goes(t, "app.slice", byB)
	if n := s.heals(t, "route"); n != 0 {
		t.Errorf("%d routes count as put back:\n%s", n, a.logged())
	}
	s.shell(t, "ip route del default table "+fmt.Sprint(s.status(t).Uplinks[byB].Table))
	s.hasDefaults(t, 1)
	soon(t, "what somebody takes away counts", func() error {
		if n := s.heals(t, "route"); n != 1 || !strings.Contains(a.logged(), "put back") {
			return fmt.Errorf("%d routes count as put back", n)
		}
		return nil
	})
}

// TestNextHopOfADaemon has a routing daemon take over the default routes of an
// uplink that were there by hand, with the same next hop, and withdraw them: the
// next hop goes with them, though it had been one that stays.
func TestNextHopOfADaemon(t *testing.T) {
	s := newSite(t, lab.Options{AllDefaults: true})
	s.cgroups(t, "app.slice")
	s.agent(t, "uplinks: [{name: a, interface: up-a}, {name: b, interface: up-b}]\n"+
		"classes: [{name: group, route: [b, a], match: [{cgroup: app.slice}]}]\n")
	s.goes(t, "app.slice", byB)
	const each = "for f in -4 -6; do r=$(ip $f route show default dev up-b); ip $f route "
	s.shell(t, each+"del $r dev up-b; ip $f route add $r dev up-b protocol bird; done")
	soon(t, "the next hops are the daemon's", func() error {
		out, err := s.Host.Command("sh", "-ec", "ip route show default dev up-b; ip -6 route show default dev up-b").Output()
		if n := strings.Count(out, "proto bird"); err != nil || n != 2 {
			return fmt.Errorf("%d of two routes: %v: %s", n, err, out)
		}
		return nil
	})
	s.hasDefaults(t, 1)
	time.Sleep(time.Second) // the agent has looked: nothing else tells
	s.shell(t, each+"del $r dev up-b; done")
	s.hasDefaults(t, 0)
	s.goes(t, "app.slice", byA)
	s.check(t, s.Host.Restore("up-b"))
	s.goes(t, "app.slice", byB)
}
