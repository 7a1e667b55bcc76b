// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"

	"waymark/internal/plan"
)

// TestAlikeHooksHaveOneProgram: what two containers' interfaces differ in is no
// constant of the program. Where it is in filters, each hook still knows its own.
func TestAlikeHooksHaveOneProgram(t *testing.T) {
	i := makeInstance(t, filepath.Join(withoutTCX(t), "i"))
	hooks := []plan.Hook{ingressAt(t, "a"), ingressAt(t, "b"), ingressAt(t, "lo")}
	hooks[2].Master = 7
	do(t, i.Verify(hooks))
	programs := map[int]int{}
	for _, h := range hooks {
		do(t, i.Attach(h))
		f, err := filtersOf(indexOf(t, h.Place))
		do(t, err)
		if len(f) != 1 {
			t.Fatalf("%d filters at %s, want 1", len(f), h.Place)
		}
		programs[f[0].(*netlink.BpfFilter).Id]++
	}
	if len(programs) != 2 {
		t.Errorf("%d programs at three hooks of which two are alike, want 2", len(programs))
	}
	if len(i.verified) != 0 {
		t.Errorf("%d programs still wait to be attached, want none", len(i.verified))
	}
	for n, place := range []string{"a", "b"} {
		do(t, i.Detach(hooks[n]))
		wantFilters(t, place, "no qdisc")
	}
}
