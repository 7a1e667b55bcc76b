// SPDX-License-Identifier: Apache-2.0

package test

import (
	"strings"
	"testing"

	"waymark/internal/lab"
)

// A transition is one policy after another.
type transition struct {
	name, after  string
	group, other int // routers of new sockets afterwards
}

const otherClass = "  - {name: other, route: [c], match: [{cgroup: other.slice}]}\n"

// moves are transitions in which a class goes elsewhere; words are what its
// line says beside its route.
func moves(words string) []transition {
	group := func(route string) string {
		return "  - {name: group, route: [" + route + "], match: [{cgroup: app.slice}]" + words + "}\n"
	}
	return []transition{
		{"from the beginning", threeUplinks + "classes:\n" + group("b") + otherClass, byB, byC},
		{"class moves to another uplink", threeUplinks + "classes:\n" + group("c") + otherClass, byC, byC},
		{"class gets a fallback", threeUplinks + "classes:\n" + group("c, b") + otherClass, byC, byC},
		{"uplinks change places", "uplinks:\n" + uplinkC + uplinkB + uplinkA + "classes:\n" + group("c") + otherClass, byC, byC},
	}
}

// TestTransitions changes one policy into another under open connections:
// new sockets follow at once, and those that are open stay where their
// address lives, alive.
func TestTransitions(t *testing.T) {
	all := moves("")
	before := all[0].after
	team := strings.Replace(before, "group", "team", 1)
	first := strings.Replace(before, "classes:\n", "classes:\n  - {name: first, route: [c], match: [{uid: 0, cgroup: app.slice/x}]}\n", 1)
	swapped := strings.Replace(strings.Replace(before, otherClass, "", 1), "classes:\n", "classes:\n"+otherClass, 1)
	all = append(all,
		transition{"class is removed", threeUplinks + "classes:\n" + otherClass, byA, byC},
		transition{"class is renamed", team, byB, byC},
		transition{"classes change places", swapped, byB, byC},
		transition{"class is added before", first, byC, byC},
		transition{"mask changes", "mark: {mask: 0x00ff0000}\n" + before, byB, byC},
		transition{"mask shrinks", "mark: {mask: 0x81000000}\n" + before, byB, byC},
		transition{"rules move", "rules: {base: 3000}\n" + before, byB, byC},
		transition{"tables move", "tables: {base: 9000}\n" + before, byB, byC},
		transition{"uplink is removed", strings.Replace(strings.Replace(before, uplinkC, "", 1), otherClass, "", 1), byB, byA})
	goThrough(t, all)
}

// TestTransitionsOfAClosedClass is about a class that never goes by another
// uplink: its open sockets are no leak.
func TestTransitionsOfAClosedClass(t *testing.T) {
	all := moves(", otherwise: unreachable")
	for _, c := range all {
		if c.name == "class gets a fallback" {
			all = append(all, transition{c.name + ", and the mask changes", "mark: {mask: 0x00ff0000}\n" + c.after, c.group, c.other})
		}
	}
	goThrough(t, all)
}

// goThrough applies the first policy, then each other one and the first again.
func goThrough(t *testing.T, all []transition) {
	t.Helper()
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice", "app.slice/x", "other.slice")
	s.apply(t, all[0].after)
	for _, c := range all[1:] {
		t.Run(c.name, func(t *testing.T) {
			open := s.openAll(t, "app.slice/x")
			for _, c := range []transition{c, all[0]} {
				s.apply(t, c.after)
				s.follow(t, "app.slice/x", c.group)
				s.follow(t, "other.slice", c.other)
				open.stay(t, s, byB)
			}
		})
	}
	s.again(t, all[0].after)
}

// follow checks where new sockets of a cgroup go.
func (s *site) follow(t *testing.T, cgroup string, router int) {
	t.Helper()
	for _, kind := range []lab.Kind{lab.TCP, lab.UDP, lab.SendTo} {
		s.leaves(t, in(cgroup, v4.job(kind, 1)), router)
		s.leaves(t, in(cgroup, v6.job(kind, 1)), router)
	}
}

// connections are open ones, by what they were opened for.
type connections map[*lab.Client]lab.Job

// openAll opens connections of every kind and family in a cgroup, for as
// long as the test.
func (s *site) openAll(t *testing.T, cgroup string) connections {
	t.Helper()
	open := connections{}
	for _, kind := range []lab.Kind{lab.TCP, lab.UDP} {
		for _, f := range ips {
			job := in(cgroup, f.job(kind, 1))
			c := must[*lab.Client](t)(s.Host.Open(job))
			if err := c.Opened.Err(); err != nil {
				t.Error(err)
			}
			t.Cleanup(func() { c.Close() })
			open[c] = job
		}
	}
	return open
}

// stay checks that open connections work, by one router.
func (open connections) stay(t *testing.T, s *site, router int) {
	t.Helper()
	for c, job := range open {
		s.drain(t)
		r := must[lab.Result](t)(c.Send(2, 100))
		if err := r.Err(); err != nil {
			t.Errorf("open %s to %s: %v", job.Kind, job.To[0], err)
		}
		for n, packets := range s.collect(t, socketOf(job, r)) {
			if (n == router) != (len(packets) > 0) {
				t.Errorf("open %s to %s: router %d got %v; all should pass router %d", job.Kind, job.To[0], n, packets, router)
			}
		}
	}
}

// TestCountersBelongToTheClass moves a class about: its counts go with it.
func TestCountersBelongToTheClass(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	job := in("app.slice", v4.job(lab.UDP, 1))
	job.Count, job.Size = 10, 10
	want := tally{}
	for _, uplink := range []string{"b", "c", "a", "b"} {
		s.apply(t, groupBy(uplink))
		if r := must[lab.Result](t)(s.Host.Run(job)); r.Err() != nil {
			t.Fatal(r.Err())
		}
		want.add("group", uplink, count{10, 10 * (14 + 20 + 8 + 10)})
		if got := s.counted(t)["group"]; got[uplink] != want["group"][uplink] || len(got) != len(want["group"]) {
			t.Errorf("after moving to %s the counts are %v, want %v", uplink, got, want["group"])
		}
	}
}
