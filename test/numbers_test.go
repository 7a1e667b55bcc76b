// SPDX-License-Identifier: Apache-2.0

package test

import (
	"testing"

	"waymark/internal/lab"
)

// TestNumberIsNotReused removes a class while a socket carries its number,
// and adds others: none of them gets it, until the socket is gone.
func TestNumberIsNotReused(t *testing.T) {
	const head = "mark: {mask: 0x07000000}\n" + twoUplinks + "classes:\n"
	const first = "  - {name: first, route: [b], match: [{cgroup: app.slice}]}\n"
	const second = "  - {name: second, route: [b], match: [{uid: 5}]}\n"
	const third = "  - {name: third, route: [a], match: [{uid: 6}]}\n"
	const keeper = "  - {name: keeper, route: [a], otherwise: unreachable, match: [{uid: 7}]}\n"
	for _, kind := range []lab.Kind{lab.TCP, lab.SendTo} {
		t.Run(string(kind), func(t *testing.T) {
			s := newSite(t, lab.Options{})
			s.cgroups(t, "app.slice")
			s.apply(t, head+keeper+first)
			number := s.markOf(t, "first")
			job := in("app.slice", v6.job(kind, 1))
			job.Count = 1 // the kernel lists no UDP socket that has not been used yet
			c := must[*lab.Client](t)(s.Host.Open(job))
			if c.Opened.Err() != nil || c.Opened.Mark != number {
				t.Fatalf("%v: the socket's mark is %#x, want %#x", c.Opened.Err(), c.Opened.Mark, number)
			}
			// The plan that removes a class keeps its number back in any case.
			s.apply(t, head+keeper)
			for _, policy := range []string{head + keeper + second, head + keeper + third + second} {
				s.apply(t, policy)
				for _, class := range s.status(t).Classes {
					if class.Mark == number {
						t.Errorf("class %s has the mark %#x, which an open socket carries", class.Name, number)
					}
				}
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if kind == lab.TCP {
				return // the closed connection carries it for another minute
			}
			s.apply(t, head+keeper)
			s.apply(t, head+keeper)
			s.apply(t, head+keeper+first)
			if again := s.markOf(t, "first"); again != number {
				t.Errorf("no socket has the mark %#x any more, and the class gets %#x", number, again)
			}
		})
	}
}

// markOf is a class's mark.
func (s *site) markOf(t *testing.T, class string) uint32 {
	t.Helper()
	for _, c := range s.status(t).Classes {
		if c.Name == class {
			return c.Mark
		}
	}
	t.Fatalf("status has no class %s", class)
	return 0
}

// TestNumbersOfBefore has open flows with the number of a class of before: of
// another mask with some of the same bits, or of what was taken down since. They
// are in their class.
func TestNumbersOfBefore(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	policy := twoUplinks + "classes:\n  - {name: group, route: [b], match: [{cgroup: app.slice}]}\n"
	s.apply(t, policy)
	open := s.openAll(t, "app.slice")
	for _, name := range []string{"a wider mask", "down"} {
		if name == "down" {
			s.ok(t, "down")
		}
		s.apply(t, "mark: {mask: 0xff000000}\n"+policy)
		t.Run(name, func(t *testing.T) {
			s.account(t, ledger{}, func() { open.stay(t, s, byB) })
		})
	}
}
