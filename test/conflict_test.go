// SPDX-License-Identifier: Apache-2.0

package test

import (
	"strings"
	"testing"

	"waymark/internal/lab"
)

// TestConflicts has somebody else own what a policy needs: apply refuses,
// names the owner, and touches nothing.
func TestConflicts(t *testing.T) {
	for _, c := range []struct {
		name, theirs string
		says         []string
	}{
		{"rule at a priority of ours", "ip rule add priority 1001 from 192.0.2.1 lookup main protocol 4",
			[]string{"rule priority 1001", "systemd-networkd", "from 192.0.2.1", "rules: {base:"}},
		{"IPv6 rule at a priority of ours", "ip -6 rule add priority 1000 from 2001:db8:77::/64 lookup main",
			[]string{"IPv6 rule priority 1000", "2001:db8:77::/64"}},
		{"rule with bits of the mask", "ip rule add priority 100 fwmark 0x10000/0xffff0000 lookup 52 protocol 3",
			[]string{"fwmark 0xb7000000", "an administrator", "Calico", "mark: {mask:"}},
		{"IPv6 rule with a whole mark", "ip -6 rule add priority 20000 fwmark 0x10000007 unreachable",
			[]string{"fwmark 0x10000000"}},
		{"route in a table of ours", "ip route add 198.51.100.0/24 dev up-a table 7001 protocol 186",
			[]string{"table 7001", "BGP", "198.51.100.0/24", "tables: {base:"}},
		{"IPv6 route in a table of ours", "ip -6 route add 2001:db8:77::/64 dev up-a table 7000",
			[]string{"table 7000", "2001:db8:77::/64"}},
		{"rule to a table of ours", "ip rule add priority 30000 to 192.0.2.1 lookup 7000",
			[]string{"table 7000", "192.0.2.1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, lab.Options{})
			s.cgroups(t, "app.slice")
			s.shell(t, c.theirs)
			o := s.refused(t, fourClasses)
			for _, want := range c.says {
				if !strings.Contains(o.stderr, want) {
					t.Errorf("apply does not speak of %q: %s", want, o.stderr)
				}
			}
			if o.code != 4 {
				t.Errorf("exit %d, want 4", o.code)
			}
			s.gone(t)
		})
	}
}

// TestConflictWhileApplied has somebody come when a policy is in force
// already, and it stays in force.
func TestConflictWhileApplied(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	s.apply(t, groupBy("b"))
	s.shell(t, "ip rule add priority 1101 from 192.0.2.1 lookup main; ip -6 rule add priority 21000 fwmark 0x80000000/0x80000000 lookup 99")
	before, objects := s.state(t), s.objects(t)
	for _, policy := range []string{groupBy("c"), "rules: {base: 1100}\n" + groupBy("c")} {
		if o := s.refused(t, policy); o.code != 4 {
			t.Errorf("exit %d, want 4: %s", o.code, o.stderr)
		}
		if diff := lines(before, s.state(t)); diff != "" {
			t.Errorf("the refused apply left a mark (-before +after):\n%s", diff)
		}
	}
	if len(objects.links) != len(s.objects(t).links) {
		t.Error("the refused apply changed what is pinned")
	}
	s.follow(t, "app.slice", byB)
	s.shell(t, "ip rule del priority 1101; ip -6 rule del priority 21000")
	s.apply(t, groupBy("c"))
	s.follow(t, "app.slice", byC)
}
