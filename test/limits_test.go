// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/datapath"
	"waymark/internal/lab"
	"waymark/internal/match"
	"waymark/internal/plan"
)

// TestTooMuchForAMap has more marks of others than there is room for: apply
// says how many would do, and touches nothing.
func TestTooMuchForAMap(t *testing.T) {
	s := newSite(t, lab.Options{})
	var rules strings.Builder
	for i := range 300 {
		fmt.Fprintf(&rules, "rule add fwmark %#x lookup 77 pref 20000\n", 0x100000+i)
	}
	s.shell(t, "ip -batch - <<END\n"+rules.String()+"END")
	o := s.refused(t, twoUplinks+"classes:\n  - {name: x, route: [b], match: [{uid: 1234}]}\n")
	if o.code != 1 || !strings.Contains(o.stderr, ": there is room for 256: ") || strings.Contains(o.stderr, "as it was before") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	s.gone(t)
}

// TestManyCgroups has more cgroups of one class than any map begins with.
func TestManyCgroups(t *testing.T) {
	e := newEngine(t, 0xb7000000, 1)
	p := &plan.Plan{Mask: e.mask, Main: -1,
		Classes: []plan.Class{{Number: 1, Mark: e.mask.Spread(1), Slot: 1}},
		Lines:   []plan.Line{{Match: match.Match{Cgroup: match.Path("app.slice")}}}}
	scan := func(table *match.Table) (map[uint64]uint32, error) {
		_, set := table.Walk().Enter("app.slice")
		there := map[uint64]uint32{e.own: set}
		for i := range uint64(40_000) {
			there[1<<40+i] = set
		}
		return there, nil
	}
	if err := e.Publish(p, datapath.Compile(p, match.Root{Level: match.AnyLevel}), scan); err != nil {
		t.Fatal(err)
	}
	if _, mark := e.run(t, "ingress 1", ethernet(unix.ETH_P_IP, packet4(unix.IPPROTO_UDP, ports9(4))), 0); mark != e.mask.Spread(1) {
		t.Errorf("a packet of one of them has the mark %#x, want %#x", mark, e.mask.Spread(1))
	}
}
