// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"testing"

	"waymark/internal/lab"
)

// TestMarkOfAnApplication has classed processes set SO_MARK: bits outside
// the mask stay beside the class's, another class's are refused.
func TestMarkOfAnApplication(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	marks := s.marks(t)
	for f, kind := range sockets(everyKind) {
		job := func(mark uint32) lab.Job {
			j := in("app.slice", f.job(kind, 1))
			j.Mark = mark
			return j
		}
		for name, mark := range map[string]uint32{"its own": marks["group"], "its own and others' bits": marks["group"] | 0x42, "others' bits": 0x420007} {
			t.Run(fmt.Sprintf("%s/%s/%s", name, kind, f), func(t *testing.T) {
				needKind(t, s.Host, kind)
				trip := s.send(t, s.Host, job(mark))
				trip.left(t, byB, s.address(byB, f.service(1).Addr()))
				if want := mark | marks["group"]; trip.Mark != want {
					t.Errorf("the socket has the mark %#x, want %#x", trip.Mark, want)
				}
			})
		}
		for name, mark := range map[string]uint32{"another class's": marks["tuple"], "another class's and others' bits": marks["tuple"] | 0x42, "nobody's number": 0xb7000000} {
			t.Run(fmt.Sprintf("%s/%s/%s", name, kind, f), func(t *testing.T) {
				needKind(t, s.Host, kind)
				since := s.books(t)["group a"].Refused
				r := must[lab.Result](t)(s.Host.Run(job(mark)))
				if r.Call != "SO_MARK" || r.Errno != "EPERM" || r.Mark != marks["group"] {
					t.Errorf("%s: %s, and the mark is %#x; want SO_MARK: EPERM, and %#x", r.Call, r.Errno, r.Mark, marks["group"])
				}
				if n := s.books(t)["group a"].Refused - since; n != 1 {
					t.Errorf("%d attempts were counted, want 1", n)
				}
			})
		}
	}
}

// TestMarkOfOthers has sockets with the whole marks that tunnels give theirs:
// they are left alone, in a class or not, and counted.
func TestMarkOfOthers(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	for _, f := range ips {
		for name, job := range map[string]lab.Job{
			"unclassed": f.job(lab.UDP, 1), "in a classed cgroup": in("app.slice", f.job(lab.UDP, 1)),
			"to a classed destination": f.job(lab.UDP, 3), "to a classed destination, unconnected": f.job(lab.SendTo, 3),
		} {
			t.Run(fmt.Sprintf("%s/%s", name, f), func(t *testing.T) {
				job.Mark = 0xca6c
				s.account(t, ledger{"unclassed a": {Foreign: 1}}, func() { s.leaves(t, job, byA) })
			})
		}
		t.Run(fmt.Sprintf("a number of no class/%s", f), func(t *testing.T) {
			job := f.job(lab.UDP, 1)
			job.Mark = 0xb7000000
			s.account(t, ledger{"unclassed a": misrouted(1, foreign)}, func() { s.leaves(t, job, byA) })
		})
	}
	for _, f := range bothFamilies {
		t.Run(fmt.Sprintf("raw/%s", f), func(t *testing.T) {
			job := f.job(lab.RawPing, 3)
			job.Mark = 0xca6c
			s.account(t, ledger{"unclassed a": {Foreign: 1}}, func() { s.leaves(t, job, byA) })
		})
	}
}

// TestMarkOfOneDatagram has senders that name a mark with a datagram, which
// takes a right: it holds for that datagram, whatever the socket's class.
func TestMarkOfOneDatagram(t *testing.T) {
	s := newTraffic(t, lab.Options{})
	s.apply(t, traffic)
	marks := s.marks(t)
	for _, f := range bothFamilies {
		for _, c := range []struct {
			name, cgroup string
			mark         uint32
			router       int
			counted      ledger
		}{
			{"others'", "", 0xca6c, byA, ledger{"unclassed a": {Foreign: 1}}},
			{"a class's", "", marks["group"], byB, ledger{}},
			{"another class's", "app.slice", marks["tuple"], byC, ledger{}},
		} {
			t.Run(fmt.Sprintf("%s/%s", c.name, f), func(t *testing.T) {
				to := f.service(1).Addr()
				s.account(t, c.counted, func() {
					s.arrives(t, to, c.router, s.address(c.router, to), func() {
						s.work(t, c.cgroup, "be-a-stranger", to.String(), fmt.Sprint(c.mark))
					})
				})
			})
		}
	}
}

// marks are those of the classes, by name.
func (s *site) marks(t *testing.T) map[string]uint32 {
	t.Helper()
	marks := map[string]uint32{}
	for _, c := range s.status(t).Classes {
		marks[c.Name] = c.Mark
	}
	return marks
}
