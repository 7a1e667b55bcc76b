// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/classes"
	"waymark/internal/lab"
)

// theUplinks are two uplinks as a laboratory names them.
func theUplinks() (all []lab.Uplink) {
	for i, name := range []string{"a", "b"} {
		all = append(all, lab.Uplink{Name: name, Interface: "up-" + name,
			Gateway4: netip.AddrFrom4([4]byte{10, 0, byte(i + 1), 1}), Gateway6: netip.MustParseAddr(fmt.Sprintf("2001:db8:%d::1", i+1))})
	}
	return all
}

func eachPolicy(t *testing.T, sizes []int, test func(*testing.T, policy)) {
	for _, f := range []form{byTuple, byCgroup} {
		for _, n := range sizes {
			p := newPolicy(f, n)
			t.Run(p.String(), func(t *testing.T) { test(t, p) })
		}
	}
}

func TestPolicyIsValid(t *testing.T) {
	eachPolicy(t, []int{1, 2, 3, 5, 100, 12_000}, func(t *testing.T, p policy) {
		for _, p := range []policy{p, p.changed()} {
			parsed, err := classes.Parse("bench.yaml", []byte(p.yaml(theUplinks())))
			if err != nil {
				t.Fatalf("%.2000v", err)
			}
			lines := 0
			for _, c := range parsed.Classes {
				lines += len(c.Matches)
			}
			if len(p.rules) != lines || len(p.ways) != len(parsed.Classes) {
				t.Errorf("%d rules in %d classes, want %d in %d", lines, len(parsed.Classes), len(p.rules), len(p.ways))
			}
		}
	})
}

func TestOneRuleIsChanged(t *testing.T) {
	eachPolicy(t, []int{1, 100}, func(t *testing.T, p policy) {
		before, after := strings.Split(p.yaml(theUplinks()), "\n"), strings.Split(p.changed().yaml(theUplinks()), "\n")
		differ := 0
		for i := range before {
			if before[i] != after[i] {
				differ++
			}
		}
		if len(before) != len(after) || differ != 1 {
			t.Errorf("%d lines became %d, and %d of them differ; want one", len(before), len(after), differ)
		}
	})
}

// TestRulesExcludeEachOther holds for forms that know no order: maps.
func TestRulesExcludeEachOther(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range newPolicy(byTuple, mostRules).rules {
		for a := r.dst.Addr(); r.dst.Contains(a); a = a.Next() {
			key := r.proto + " " + a.String()
			if seen[key] || !world.Contains(a) {
				t.Fatalf("%s is in two rules, or out of this world", key)
			}
			seen[key] = true
		}
	}
}

// TestTrafficIsOfTheLastClass looks every destination up.
func TestTrafficIsOfTheLastClass(t *testing.T) {
	eachPolicy(t, []int{1, 2, 4, 100, mostRules}, func(t *testing.T, p policy) {
		to, own := p.targets(), p.cgroups()-1
		if len(to.UDP) == 0 || len(to.UDP) > mostTargets || (p.form == byCgroup || len(p.rules) > 15) == (len(to.TCP) == 0) {
			t.Fatalf("%d destinations by UDP, %d by TCP", len(to.UDP), len(to.TCP))
		}
		for _, a := range spread(to.UDP, 20) {
			if got := p.classOf("udp", own, a); got != "a" {
				t.Errorf("a datagram to %s is of class %q", a, got)
			}
		}
		for _, a := range spread(at(to.TCP, bulkPort), 20) {
			if got := p.classOf("tcp", own, a); got != "a" {
				t.Errorf("a connection to %s is of class %q", a, got)
			}
		}
	})
}

// classOf is the class of what a process in the cgroup of that number sends.
func (p policy) classOf(proto string, cgroup int, to netip.AddrPort) string {
	i := slices.IndexFunc(p.rules, func(r rule) bool {
		if r.cgroup >= 0 {
			return r.cgroup == cgroup
		}
		return r.proto == proto && r.dst.Contains(to.Addr()) && r.ports.lo <= to.Port() && to.Port() <= r.ports.hi
	})
	if i < 0 {
		return ""
	}
	return p.rules[i].way.name
}

func TestSpread(t *testing.T) {
	all := []int{0, 1, 2, 3, 4, 5, 6, 7}
	for n, want := range map[int][]int{0: nil, 1: {0}, 3: {0, 2, 5}, 8: all, 9: all} {
		if diff := cmp.Diff(want, spread(all, n)); diff != "" {
			t.Errorf("%d of %v (-want +got):\n%s", n, all, diff)
		}
	}
}
