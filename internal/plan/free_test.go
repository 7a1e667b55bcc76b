// SPDX-License-Identifier: Apache-2.0

package plan

import "testing"

// TestFreePriorities finds room between others' rules, as much as there is.
func TestFreePriorities(t *testing.T) {
	every := func(step uint32) (f Facts) {
		for p := uint32(1000); p < lastPriority; p += step {
			f.Rules = append(f.Rules, Rule{Family: IPv4, Priority: p, Action: Lookup, Table: 9, Protocol: 3})
		}
		return f
	}
	for step, want := range map[uint32]int{40000: 2000, 1000: 1500, 300: 1400, 70: 1150, 10: 1000} {
		if got := Free(every(step), 0).Rules; got != want {
			t.Errorf("with a rule at every %d: base %d, want %d", step, got, want)
		}
	}
}
