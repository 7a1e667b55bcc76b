// SPDX-License-Identifier: Apache-2.0

package test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"waymark/internal/datapath"
	"waymark/internal/lab"
	"waymark/loader"
)

// obstacles make an apply of the three uplinks' policy fail, each at another
// step. (The kernel takes 64 programs at one hook, and tcx one less.)
var obstacles = []struct {
	name   string
	policy string
	code   int
	put    func(t *testing.T, s *site)
}{
	{"gateway is the host's own address", strings.Replace(movedPolicy, "2001:db8:3::1", "2001:db8:3::2", 1), 1, func(*testing.T, *site) {}},
	{"hook is full", movedPolicy, 1, func(t *testing.T, s *site) {
		for range 64 {
			s.attachForeign(t, "crowd", ebpf.AttachCGroupUDP6Sendmsg)
		}
	}},
	{"hook is somebody's own", movedPolicy, 4, func(t *testing.T, s *site) {
		s.exclusive(t, "loner", ebpf.AttachCGroupInet6Connect)
	}},
	{"interface is full", movedPolicy, 1, func(t *testing.T, s *site) {
		for range 63 {
			s.attachTCX(t, s.Uplink(byC).Interface)
		}
	}},
}

const movedPolicy = "rules: {base: 1500}\nuplinks:\n" + uplinkB + uplinkC + uplinkA + `
classes:
  - {name: fresh, route: [c, b], otherwise: unreachable, match: [{dst: [203.0.113.2, "2001:db8:f::2"]}]}
  - {name: group, route: [c], match: [{cgroup: app.slice}]}
  - {name: balanced, route: {a: 1, c: 3}, match: [{uid: 2000}]}
`

// TestFailureGoesBackToNothing has a first apply fail, and with a lasting owner of what it
// needs, refused.
func TestFailureGoesBackToNothing(t *testing.T) {
	for _, o := range obstacles {
		t.Run(o.name, func(t *testing.T) {
			s := newSite(t, lab.Options{Uplinks: 3, RPFilter: 1})
			s.cgroups(t, "app.slice")
			o.put(t, s)
			failed := s.refused(t, o.policy)
			if failed.code != o.code || !strings.Contains(failed.stderr, "everything is as it was before") {
				t.Errorf("exit %d: %s", failed.code, failed.stderr)
			}
			s.gone(t)
		})
	}
}

// TestFailureGoesBackToThePolicyBefore has a later apply fail.
func TestFailureGoesBackToThePolicyBefore(t *testing.T) {
	for _, o := range obstacles {
		if strings.HasPrefix(o.name, "hook") {
			continue // it has its place at that hook already
		}
		for name, policy := range map[string]string{"": o.policy, ", with another mask": "mark: {mask: 0x00ff0000}\n" + o.policy} {
			t.Run(o.name+name, func(t *testing.T) {
				s := newSite(t, lab.Options{Uplinks: 3, RPFilter: 1})
				s.cgroups(t, "app.slice", "other.slice")
				o.put(t, s)
				s.apply(t, twoUplinks+"classes:\n  - {name: group, route: [b], match: [{cgroup: app.slice}]}\n")
				open := s.openAll(t, "app.slice")
				before, objects, status := s.state(t), s.objects(t), s.status(t)
				failed := s.refused(t, policy)
				if failed.code != o.code || !strings.Contains(failed.stderr, "everything is as it was before") {
					t.Errorf("exit %d: %s", failed.code, failed.stderr)
				}
				if diff := lines(before, s.state(t)); diff != "" {
					t.Errorf("the failed apply left a mark (-before +after):\n%s", diff)
				}
				if diff := cmp.Diff(objects.names(), s.objects(t).names()); diff != "" {
					t.Errorf("the pins are not those of before (-before +after):\n%s", diff)
				}
				if diff := cmp.Diff(status, s.status(t), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), ignoreCounts); diff != "" {
					t.Errorf("the status is not that of before (-before +after):\n%s", diff)
				}
				s.follow(t, "app.slice", byB)
				s.follow(t, "other.slice", byA)
				open.stay(t, s, byB)
			})
		}
	}
}

var ignoreCounts = cmp.Options{cmpopts.IgnoreFields(loader.ClassStatus{}, "Counts"),
	cmpopts.IgnoreFields(datapath.Arming{}, "Removed"), // cgroups of the whole machine
}
