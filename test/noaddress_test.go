// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"waymark/internal/lab"
)

// TestLostAddress has an uplink whose next hop is written lose its addresses
// while its link stays: nothing is sent by it with another uplink's address. It
// is a way again when it has its addresses back.
func TestLostAddress(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice", "closed.slice")
	s.agent(t, twoUplinks+`
classes:
  - {name: group, route: [b, a], match: [{cgroup: app.slice}]}
  - {name: closed, route: [b], otherwise: unreachable, match: [{cgroup: closed.slice}]}
`)
	s.goes(t, "app.slice", byB)
	s.shell(t, "ip -4 addr flush dev up-b; ip -6 addr flush dev up-b scope global")
	s.hasDefaults(t, 0)
	s.says(t, map[string]string{`uplink_up{uplink="b"}`: "0", `class_way_out{class="group"}`: "1", `class_way_out{class="closed"}`: "0", `class_uplink_current{class="group",uplink="a"}`: "1"})
	if text := s.ok(t, "status"); !regexp.MustCompile(`(?m)^b +up-b +down `).MatchString(text) {
		t.Errorf("status does not say that b is down:\n%s", text)
	}
	for _, f := range bothFamilies {
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
			s.leaves(t, in("app.slice", f.job(kind, 1)), byA)
			job := in("closed.slice", f.job(kind, 1))
			job.Timeout = 200 * time.Millisecond
			// IPv6 takes another uplink's address, and its rule with it: the program
			// at that uplink drops it.
			trip := s.send(t, s.Host, job)
			if trip.Err() == nil || f == v4 && trip.Errno != "ENETUNREACH" || len(trip.at[byA])+len(trip.at[byB]) > 0 {
				t.Errorf("%s %s of the class without another way: %v, and the routers got %v; want ENETUNREACH", kind, f, trip.Err(), trip.at)
			}
		}
	}
	s.check(t, s.Host.Restore("up-b"))
	s.hasDefaults(t, 1)
	s.says(t, map[string]string{`uplink_up{uplink="b"}`: "1", `class_way_out{class="closed"}`: "1", `class_uplink_current{class="group",uplink="b"}`: "1"})
	for _, f := range bothFamilies {
		s.leaves(t, in("app.slice", f.job(lab.TCP, 1)), byB)
		s.leaves(t, in("closed.slice", f.job(lab.TCP, 1)), byB)
	}
}

// says waits until the metrics have these values.
func (s *site) says(t *testing.T, want map[string]string) {
	t.Helper()
	soon(t, fmt.Sprintf("the metrics say %v", want), func() error {
		text := s.ok(t, "metrics", "--once")
		for series, value := range want {
			if !strings.Contains(text, "\nwaymark_"+series+" "+value+"\n") {
				return fmt.Errorf("%s is not %s", series, value)
			}
		}
		return nil
	})
}

// hasDefaults waits until b's table has so many default routes of each family.
func (s *site) hasDefaults(t *testing.T, want int) {
	t.Helper()
	table := fmt.Sprint(s.status(t).Uplinks[byB].Table)
	soon(t, fmt.Sprintf("b's table has %d default routes of each family", want), func() error {
		for _, family := range []string{"-4", "-6"} {
			text := must[string](t)(s.Host.Command("ip", "-o", family, "route", "show", "table", table, "default").Output())
			if n := strings.Count(text, "\n"); n != want {
				return fmt.Errorf("ip %s route: %q", family, text)
			}
		}
		return nil
	})
}
