// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"waymark/internal/lab"
)

// TestSharedAddress has two uplinks with the same addresses, as two modems of one
// make give them: by its address nobody can tell where a packet goes, by its class
// everybody can.
func TestSharedAddress(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "a.slice", "b.slice")
	a := s.Uplink(byA)
	s.shell(t, fmt.Sprintf("ip -4 addr flush dev up-b; ip -6 addr flush dev up-b scope global; ip addr add %s/32 dev up-b; ip addr add %s/128 dev up-b nodad", a.Address4, a.Address6))
	s.apply(t, twoUplinks+`
classes:
  - {name: a, route: [a], otherwise: unreachable, match: [{cgroup: a.slice}]}
  - {name: b, route: [b], otherwise: unreachable, match: [{cgroup: b.slice}]}
`)
	notes := slices.DeleteFunc(s.status(t).Notes, func(note string) bool { return !strings.Contains(note, "the same address") })
	if len(notes) != 2 {
		t.Errorf("notes about addresses are %q; want one for each of the two", notes)
	}
	for _, f := range bothFamilies {
		for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
			s.leaves(t, in("a.slice", f.job(kind, 1)), byA)
			job := in("b.slice", f.job(kind, 1))
			s.send(t, s.Host, job).left(t, byB, s.address(byA, job.To[0].Addr()))
		}
	}
	for _, c := range s.books(t) {
		if c.Misroutes != 0 {
			t.Errorf("counters say %+v; want no misroute", c)
		}
	}
}
