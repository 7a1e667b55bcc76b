// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"strings"
	"testing"
)

func TestCovers(t *testing.T) {
	from := netip.MustParsePrefix("10.0.2.2/32")
	p := &Plan{Rules: []Rule{
		{Family: IPv4, Priority: 1001, From: from, Action: Lookup, Table: 7001, Protocol: Protocol},
		{Family: IPv4, Priority: 1021, Mark: 0x1000000, Mask: 0xb7000000, Action: Lookup, Table: 7001, Protocol: Protocol},
	}}
	facts := Facts{Routes: []Route{
		{Family: IPv4, Table: TableMain, Dst: IPv4.Default()},
		{Family: IPv4, Table: 52, Dst: netip.MustParsePrefix("100.64.0.0/10")},
	}}
	for _, c := range []struct {
		name   string
		theirs Rule
		takes  string // "" for nothing
	}{
		{"everything", Rule{Priority: 10, Action: Lookup, Table: TableMain}, "2 rules"},
		{"everything, refused", Rule{Priority: 10, Action: Prohibit}, "2 rules"},
		{"a network around the source", Rule{Priority: 10, From: netip.MustParsePrefix("10.0.0.0/8"), Action: Lookup, Table: TableMain}, "1 rule "},
		{"one bit of the mark", Rule{Priority: 10, Mark: 0x1000000, Mask: 0x1000000, Action: Lookup, Table: TableMain}, "1 rule "},
		{"between", Rule{Priority: 1010, Action: Lookup, Table: TableMain}, "1 rule "},
		{"behind", Rule{Priority: 2000, Action: Lookup, Table: TableMain}, ""},
		{"another mark", Rule{Priority: 10, Mark: 0x2000000, Mask: 0xb7000000, Action: Lookup, Table: TableMain}, ""},
		{"another source", Rule{Priority: 10, From: netip.MustParsePrefix("10.0.2.3/32"), Action: Lookup, Table: TableMain}, ""},
		{"a table without a default", Rule{Priority: 10, Action: Lookup, Table: 52}, ""},
		{"an empty table", Rule{Priority: 10, Action: Lookup, Table: 99}, ""},
		{"main without its default", Rule{Priority: 10, Action: Lookup, Table: TableMain, Suppress: true}, ""},
		{"only what comes in", Rule{Priority: 10, Other: "iif eth0", Action: Lookup, Table: TableMain}, ""},
		{"the kernel's own", Rule{Priority: 0, Action: Lookup, Table: TableMain, Protocol: kernel}, ""},
		{"ours", Rule{Priority: 10, Action: Lookup, Table: TableMain, Protocol: Protocol}, ""},
		{"a jump", Rule{Priority: 10, Action: "goto 100"}, ""},
	} {
		c.theirs.Family = IPv4
		facts.Rules = []Rule{c.theirs}
		got := strings.Join(p.Covers(facts), "\n")
		if c.takes == "" && got != "" || !strings.Contains(got, c.takes) {
			t.Errorf("%s: %q, want that it takes %q", c.name, got, c.takes)
		}
	}
}
