// SPDX-License-Identifier: Apache-2.0

package test

import (
	"strings"
	"testing"

	"waymark/internal/lab"
)

const onePolicy = threeUplinks + `
classes:
  - {name: group, route: [b, a], otherwise: unreachable, match: [{cgroup: app.slice}]}
  - {name: source, route: [c], match: [{src: [10.0.1.2, "2001:db8:1::2"]}]}
`

const anotherPolicy = "mark: {mask: 0x7f000000}\nrules: {base: 2000}\n" + twoUplinks + `
classes:
  - {name: tuple, route: {a: 1, b: 2}, match: [{dst: 203.0.113.2, proto: udp}]}
  - {name: group, route: [a], match: [{cgroup: app.slice}]}
`

// TestDownLeavesNothing applies one policy after the other among other
// people's configuration, and takes all away: the state is what it was, byte
// for byte. (Every test of this package ends with that; none has as much to
// lose as this one.)
func TestDownLeavesNothing(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3, RPFilter: 1})
	s.cgroups(t, "app.slice")
	s.foreign(t)
	s.mark(t)
	for _, theirs := range []string{"lookup 77", "198.51.100.0/24", "clsact", "u32", "bytecode", "tcx up-b", "hook 2 program", "theirs", "log_martians = 1"} {
		if !strings.Contains(s.before, theirs) {
			t.Errorf("the state before has no %q: what is foreign is not in place", theirs)
		}
	}
	s.apply(t, onePolicy)
	s.leaves(t, in("app.slice", v4.job(lab.TCP, 1)), byB)
	s.untouched(t)
	s.apply(t, anotherPolicy)
	s.leaves(t, in("app.slice", v4.job(lab.TCP, 1)), byA)
	s.untouched(t)
	s.ok(t, "down")
	s.gone(t)
}

// untouched checks that every line of the state before is there still: ours
// only add to it, but for the sysctls that we set.
func (s *site) untouched(t *testing.T) {
	t.Helper()
	now := map[string]int{}
	for line := range strings.Lines(s.state(t)) {
		now[line]++
	}
	for line := range strings.Lines(s.before) {
		if now[line]--; now[line] < 0 && !isSysctlOfOurs(line) {
			t.Errorf("while applied, the state lacks %q", line)
		}
	}
}

func isSysctlOfOurs(line string) bool {
	return strings.Contains(line, "conf.lo.forwarding") || strings.Contains(line, "fib_multipath_hash_policy") || strings.Contains(line, "conf.up-") && (strings.Contains(line, "rp_filter") || strings.Contains(line, "ignore_routes_with_linkdown"))
}

// in puts a job's process into a cgroup.
func in(cgroup string, job lab.Job) lab.Job {
	job.Cgroup = cgroup
	return job
}

// TestDownTwice takes down what is down already.
func TestDownTwice(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.mark(t)
	if out := s.ok(t, "down"); !strings.Contains(out, "nothing to remove") {
		t.Errorf("down without an apply says %q", out)
	}
	s.gone(t)
	s.apply(t, fourClasses)
	if out := s.ok(t, "down"); strings.Contains(out, "nothing to remove") {
		t.Errorf("down after an apply says %q", out)
	}
	s.gone(t)
	if out := s.ok(t, "down"); !strings.Contains(out, "nothing to remove") {
		t.Errorf("down after down says %q", out)
	}
	s.gone(t)
}

// TestDownOfWhatIsDamaged takes down what somebody took apart by hand.
func TestDownOfWhatIsDamaged(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	for _, c := range []struct{ name, damage string }{
		{"rules gone", "ip rule flush protocol 119; ip -6 rule del priority 1001"},
		{"routes gone", "ip route flush table 7000; ip -6 route del default table 7001"},
		{"routing gone", "ip rule flush protocol 119; ip -6 rule flush protocol 119; ip route flush table 7000; ip -6 route flush table 7001"},
		{"pins gone", "rm PINS/sock_create PINS/tables"},
		{"a rule more", "ip rule add priority 1 from 203.0.113.1 lookup 7000 protocol 119"},
		{"a route more", "ip route add 192.0.2.0/24 dev up-a table 7009 protocol 119"},
		{"sysctl changed", "echo 0 > /proc/sys/net/ipv4/conf/up-b/ignore_routes_with_linkdown"},
		{"interface gone", "ip link del up-c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.apply(t, onePolicy)
			s.shell(t, strings.ReplaceAll(c.damage, "PINS", s.pins()))
			if c.name == "interface gone" {
				s.before = "" // the state before had it
			}
			s.ok(t, "down")
			s.gone(t)
		})
	}
}

// TestDownWithoutState takes down what has lost its pins, and with them the
// memory of how the sysctls were: they, and they alone, stay as set.
func TestDownWithoutState(t *testing.T) {
	for name, damage := range map[string]string{"state gone": "rm PINS/state", "all pins gone": "rm PINS/*"} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, lab.Options{})
			s.cgroups(t, "app.slice")
			s.apply(t, fourClasses)
			s.shell(t, strings.ReplaceAll(damage, "PINS", s.pins()))
			s.ok(t, "down")
			now := s.state(t)
			for line := range strings.Lines(lines(s.before, now)) {
				if !strings.HasPrefix(line, "-net.") && !strings.HasPrefix(line, "+net.") {
					t.Errorf("beside sysctls, down left %q", line)
				}
			}
			s.before = now
			s.gone(t)
		})
	}
}
