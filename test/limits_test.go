// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
	"waymark/internal/match"
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

// TestManyCgroups has a line for each of many cgroups. Their map has room for
// as many as a policy names.
func TestManyCgroups(t *testing.T) {
	e := newEngine(t, 0xb7000000, 1)
	lines := make([]match.Match, 20_000)
	for i := range lines {
		lines[i].Cgroup = match.Path(fmt.Sprintf("app.slice/%d", i))
	}
	last := len(lines) - 1
	marks := e.publish(t, lines, lines[last].Cgroup[0].Path)
	if _, mark := e.run(t, "ingress 1", ethernet(unix.ETH_P_IP, packet4(unix.IPPROTO_UDP, ports9(4))), 0); mark != marks[last] {
		t.Errorf("the last cgroup's packet has the mark %#x, want %#x", mark, marks[last])
	}
}
