// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"fmt"
	"strings"
	"testing"

	"waymark/internal/plan"
)

// withTable is a setup whose mark 1 leads by wwan0.
func withTable() Setup {
	hop := func(table uint32, by string) plan.Route {
		return plan.Route{Family: plan.IPv4, Table: table, Dst: plan.IPv4.Default(), Hops: []plan.NextHop{{Interface: by}}}
	}
	return Setup{Facts: plan.Facts{
		Rules:  []plan.Rule{{Family: plan.IPv4, Priority: 9, Mark: 1, Mask: 0xff, Action: plan.Lookup, Table: 7}},
		Routes: []plan.Route{hop(plan.TableMain, "eth0"), hop(7, "wwan0")},
		Links:  map[string]plan.Link{"wwan0": {}, "eth0": {}},
	}}
}

// TestChainsThatJumpToEachOther would have a rule be gone through more often than
// anybody waits, and is told that there are too many.
func TestChainsThatJumpToEachOther(t *testing.T) {
	var b strings.Builder
	b.WriteString("*mangle\n-A OUTPUT -j c0\n")
	for k := range 16 {
		for range 10 {
			fmt.Fprintf(&b, "-A c%d -j c%d\n", k, (k+1)%16)
		}
	}
	b.WriteString("-A c15 -j MARK --set-xmark 0x1/0xff\nCOMMIT\n")
	s := withTable()
	if err := s.Add("iptables", b.String()); err != nil {
		t.Fatal(err)
	}
	imported, err := Import(s)
	if err != nil {
		t.Fatal(err)
	}
	if len(imported.Left) == 0 || !strings.Contains(imported.Policy, "too many chains") {
		t.Errorf("it is not said that something is left out: %s", imported.Policy)
	}
}

// TestManyRules imports each of them.
func TestManyRules(t *testing.T) {
	var b strings.Builder
	b.WriteString("*mangle\n")
	const n = 1000
	for k := range n {
		fmt.Fprintf(&b, "-A OUTPUT -d 10.%d.%d.1/32 -j MARK --set-xmark 0x1/0xffffffff\n", k/250, k%250)
	}
	s := withTable()
	if err := s.Add("iptables", b.String()+"COMMIT\n"); err != nil {
		t.Fatal(err)
	}
	imported, err := Import(s)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(imported.Policy, "- {dst: 10."); got != n || len(imported.Left) > 0 {
		t.Errorf("%d matches of %d, %d left", got, n, len(imported.Left))
	}
}
