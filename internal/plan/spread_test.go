// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"
	"testing"
)

// TestSpread has a balance by flow or by addresses on hosts whose administrator
// has chosen something, and has not.
func TestSpread(t *testing.T) {
	const both = "uplinks: [{name: a, interface: eth0}, {name: b, interface: eth1}]\n"
	const balance, ordered = "classes: [{name: x, route: {a: 1, b: 1}, match: [{uid: 1}]}]\n", "classes: [{name: x, route: [a, b], match: [{uid: 1}]}]\n"
	for _, c := range []struct {
		name, policy, value string
		changed             bool // by the last plan
		sets                bool
		note                string
	}{
		{"the kernel's default", both + balance, "0", false, true, ""},
		{"what the last plan set", both + balance, "1", true, true, ""},
		{"no balance", both + ordered, "0", false, false, ""},
		{"no balance any more", both + ordered, "1", true, false, ""},
		{"by addresses", "balance: {by: addresses}\n" + both + balance, "0", false, false, ""},
		{"by addresses from now on", "balance: {by: addresses}\n" + both + balance, "1", true, false, ""},
		{"by addresses, and the host by flow", "balance: {by: addresses}\n" + both + balance, "1", false, false, "not held together by their addresses"},
		{"the host by flow", both + balance, "1", false, false, ""},
		{"the host by what is inside of tunnels", both + balance, "2", false, false, "not spread by their ports"},
		{"the host by fields of its own", both + balance, "3", false, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := twoUplinks()
			h.Sysctls[hashPolicies[0]] = c.value
			if c.changed {
				h.Changed = hashPolicies[:1]
			}
			p := h.make(t, c.policy, Numbers{})
			if sets := slices.ContainsFunc(p.Sysctls, func(s Sysctl) bool { return s.Name == hashPolicies[0] && s.Value == "1" }); sets != c.sets {
				t.Errorf("it is set: %t, want %t", sets, c.sets)
			}
			if notes := strings.Join(p.Notes, "\n"); strings.Contains(notes, "fib_multipath_hash_policy is") != (c.note != "") || !strings.Contains(notes, c.note) {
				t.Errorf("the notes are %q, want %q", notes, c.note)
			}
		})
	}
}
