// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waymark/internal/lab"
)

// A killing is a command that is killed before and after one of its changes
// after the other. Its classes never go by main's uplink, so that no mix of two
// policies can hide.
type killing struct {
	name    string
	start   []string // policies that are applied one after the other
	args    func(t *testing.T, s *site) []string
	old     string // the policy in force before; "" is none
	new     string // the one after
	routers []int  // where a flow may leave: by the old policy, or by the new
}

const (
	// Each round takes new numbers, and connections that are closed have theirs for a minute.
	killOld = "mark: {mask: 0xff0f0000}\n" + threeUplinks + "classes:\n" +
		"  - {name: group, route: [b], otherwise: unreachable, match: [{cgroup: app.slice}]}\n" +
		"  - {name: other, route: [c], otherwise: unreachable, match: [{cgroup: other.slice, dst: [203.0.113.0/24, \"2001:db8:f::/64\"]}]}\n"
	killNew  = "mark: {mask: 0xff0f0000}\n" + killTurned
	killMask = "mark: {mask: 0x00f000ff}\n" + killTurned

	killTurned = threeUplinks + "classes:\n" +
		"  - {name: other, route: [b], otherwise: unreachable, match: [{cgroup: other.slice}]}\n" +
		"  - {name: group, route: [c, b], otherwise: unreachable, match: [{cgroup: app.slice}]}\n"
)

var killings = []killing{
	{"first apply", nil, applies(killOld), "", killOld, []int{byA, byB, byC}},
	{"apply for a time", []string{killOld}, applies(killNew, "--confirm", "1h"), killOld, killNew, []int{byB, byC}},
	{"apply with another mask", []string{killOld}, applies(killMask), killOld, killMask, []int{byB, byC}},
	{"move", []string{killOld}, verbs("move", "app.slice", "other"), killOld, killOld, []int{byB, byC}},
	{"rollback", []string{killOld, killNew}, verbs("rollback"), killNew, killOld, []int{byB, byC}},
	{"down", []string{killOld}, verbs("down"), killOld, "", []int{byA, byB, byC}},
}

func applies(policy string, flags ...string) func(*testing.T, *site) []string {
	return func(t *testing.T, s *site) []string {
		return append(append([]string{"apply"}, flags...), s.write(t, policy)...)
	}
}

func verbs(args ...string) func(*testing.T, *site) []string {
	return func(*testing.T, *site) []string { return args }
}

// TestKilled kills commands before single changes: one of each kind, and
// some of each command, and after the last of each, which is where the next
// would be. With -long it is every one of every command, but those in the
// midst of many alike.
func TestKilled(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range killings {
		t.Run(k.name, func(t *testing.T) {
			s := newSite(t, lab.Options{Uplinks: 3})
			s.stateDir = filepath.Join(t.TempDir(), "state")
			s.cgroups(t, "app.slice", "other.slice")
			s.mark(t)
			var changes []change
			k.begin(t, s)
			s.changesOf(t, k.args(t, s), func(c change) bool {
				if !c.after {
					changes = append(changes, c)
				}
				return false
			})
			t.Logf("%d changes", len(changes))
			s.ok(t, "down")
			last := changes[len(changes)-1]
			for _, c := range sample(changes, seen) {
				t.Run(fmt.Sprintf("before %d, %s", c.n, c.kind), func(t *testing.T) { k.kill(t, s, c) })
			}
			last.after = true
			t.Run("after the last, "+last.kind, func(t *testing.T) { k.kill(t, s, last) })
		})
	}
}

// sample is some changes of one command: the last, and those of a kind that
// was not seen yet.
func sample(changes []change, seen map[string]bool) []change {
	var some []change
	for i, c := range changes {
		if i == len(changes)-1 || !seen[c.kind] || *long && !amid(changes, i) {
			some = append(some, c)
		}
		seen[c.kind] = true
	}
	return some
}

// amid tells whether a change stands in the midst of many of its kind: the
// walk clears a map of a thousand words, one by one.
func amid(changes []change, i int) bool {
	const around = 8
	for k := max(0, i-around); k <= min(i+around, len(changes)-1); k++ {
		if changes[k].kind != changes[i].kind {
			return false
		}
	}
	return true
}

func (k killing) begin(t *testing.T, s *site) {
	t.Helper()
	for _, policy := range k.start {
		s.apply(t, policy)
	}
}

func (k killing) kill(t *testing.T, s *site, at change) {
	k.begin(t, s)
	var open *lab.Client
	job := in("app.slice", v4.job(lab.TCP, 1))
	if k.old != "" {
		open = s.open(t, job)
	}
	if _, code := s.changesOf(t, k.args(t, s), func(c change) bool { return c.n == at.n && c.after == at.after }); code > 0 {
		t.Fatalf("exit %d", code) // 0: it had no such change to make this time
	}
	k.probe(t, s)
	if open != nil && k.new != "" {
		router := map[string]int{killOld: byB, killNew: byC}[k.old]
		s.sends(t, job, open).stays(t, router, s.address(router, job.To[0].Addr()))
	}
	s.keeps(t)
	switch at.n % 3 {
	case 0:
		// It has nothing to confirm, and finishes or undoes what was begun.
		s.waymark(t, "confirm")
		k.whole(t, s)
		k.probe(t, s)
		if k.name == "move" {
			s.follow(t, "app.slice", map[bool]int{false: byB, true: byC}[s.isMoved(t)])
		}
	case 1:
		s.apply(t, killNew)
		s.follow(t, "app.slice", map[bool]int{false: byC, true: byB}[s.isMoved(t)])
		s.follow(t, "other.slice", byB)
		k.new = killNew
		k.whole(t, s)
	}
	s.ok(t, "down")
	s.gone(t)
}

// keeps checks that what is on trial or moved is known to the next start of the machine.
func (s *site) keeps(t *testing.T) {
	t.Helper()
	status := s.waymark(t, "status").stdout // must not mind what was interrupted
	for file, has := range map[string]string{"tried.json": "\ngoes back in ", "moves.json": "\nmove "} {
		if _, err := os.Stat(filepath.Join(s.stateDir, file)); err != nil && strings.Contains(status, has) {
			t.Errorf("the next start of the machine knows nothing of what `status` has: %v in\n%s", err, status)
		}
	}
}

// isMoved tells whether the move is in force, which it is whole or not at all.
func (s *site) isMoved(t *testing.T) bool {
	t.Helper()
	return len(s.status(t).Overrides) > 0
}

// probe opens new sockets, each of which has to leave by one uplink, with
// its address.
func (k killing) probe(t *testing.T, s *site) {
	t.Helper()
	for _, job := range []lab.Job{
		in("app.slice", v4.job(lab.TCP, 1)), in("app.slice", v6.job(lab.UDP, 1)), in("app.slice", v4.job(lab.SendTo, 1)),
		in("other.slice", v6.job(lab.TCP, 1)), in("other.slice", v4.job(lab.UDP, 1)), in("other.slice", v6.job(lab.SendTo, 1)),
	} {
		trip := s.send(t, s.Host, job)
		router := slices.IndexFunc(trip.at, func(packets []lab.Packet) bool { return len(packets) > 0 })
		if !slices.Contains(k.routers, router) {
			t.Errorf("%s from %s: %v; at the routers: %v", job.Kind, job.Cgroup, trip.Err(), trip.at)
			continue
		}
		trip.left(t, router, s.address(router, job.To[0].Addr()))
	}
}

// whole checks that the old policy is in force, or the new, and nothing else.
func (k killing) whole(t *testing.T, s *site) {
	t.Helper()
	for _, policy := range []string{k.new, k.old} {
		if policy == "" {
			if lines(s.before, s.state(t)) == "" {
				return
			}
			continue
		}
		if s.waymark(t, append([]string{"plan", "--exit-code"}, s.write(t, policy)...)...).code == 0 {
			return
		}
	}
	t.Errorf("neither the old nor the new policy is in force: %s", s.waymark(t, "status").stdout)
}
