// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"testing"

	"waymark/internal/plan"
)

// TestSysctlsOfAGoneInterface has an interface vanish before its sysctls are set,
// given back, and set back: there is nothing to do, and nothing that failed.
func TestSysctlsOfAGoneInterface(t *testing.T) {
	gone := plan.Sysctl{Name: "net/ipv4/conf/wm-gone0/rp_filter", Value: "2"}
	a := &apply{survey: &survey{changes: plan.Changes{SetSysctls: []plan.Sysctl{gone}, GiveBack: []plan.Sysctl{gone}}}}
	all := func(string) bool { return true }
	a.setSysctls(all)
	a.restoreSysctls(all)
	if a.err != nil || len(a.undo) != 2 {
		t.Fatalf("%d of 2 steps were made: %v", len(a.undo), a.err)
	}
	for _, undo := range a.undo {
		if err := undo(); err != nil {
			t.Errorf("going back: %v", err)
		}
	}
}
