// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"strings"
	"testing"
)

func TestCovers(t *testing.T) {
	from := netip.MustParsePrefix("10.0.2.2/32")
	by := func(table uint32, device string) Route {
		return Route{Family: IPv4, Table: table, Dst: IPv4.Default(), Hops: []NextHop{{Interface: device, OnLink: table == 60}}}
	}
	p := &Plan{Rules: []Rule{
		{Family: IPv4, Priority: 1001, From: from, Action: Lookup, Table: 7001, Protocol: Protocol},
		{Family: IPv4, Priority: 1021, Mark: 0x1000000, Mask: 0xb7000000, Action: Lookup, Table: 7001, Protocol: Protocol},
	}}
	facts := Facts{Routes: []Route{
		{Family: IPv4, Table: TableMain, Dst: IPv4.Default()},
		{Family: IPv4, Table: 52, Dst: netip.MustParsePrefix("100.64.0.0/10")},
		by(60, "up-b"), by(61, "up-a"), by(62, "up-b"), by(62, "up-a"),
		{Family: IPv4, Table: 63, Dst: IPv4.Default(), Refuses: Throw},
	}}
	p.Routes = []Route{by(7001, "up-b")}
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
		{"the way that ours go", Rule{Priority: 10, From: from, Action: Lookup, Table: 60}, ""},
		{"the way that ours go, for all", Rule{Priority: 10, Action: Lookup, Table: 60}, ""},
		{"another way", Rule{Priority: 10, From: from, Action: Lookup, Table: 61}, "1 rule "},
		{"the way that ours go, and another behind it", Rule{Priority: 10, From: from, Action: Lookup, Table: 62}, "1 rule "},
		{"a table that throws", Rule{Priority: 10, Action: Lookup, Table: 63}, ""},
		{"an empty table", Rule{Priority: 10, Action: Lookup, Table: 99}, ""},
		{"main without its default", Rule{Priority: 10, Action: Lookup, Table: TableMain, Suppress: true}, ""},
		{"only what comes in", Rule{Priority: 10, Other: "iif eth0", Action: Lookup, Table: TableMain}, ""},
		{"all that the host sends", Rule{Priority: 10, Other: "iif lo", Action: Lookup, Table: TableMain}, "2 rules"},
		{"all but what a tunnel sends", Rule{Priority: 10, Other: "not", Mark: 0xca6c, Mask: 1<<32 - 1, Action: Lookup, Table: TableMain}, "2 rules"},
		{"all but a class", Rule{Priority: 10, Other: "not", Mark: 0x1000000, Mask: 0xb7000000, Action: Lookup, Table: TableMain}, ""},
		{"all but some sources", Rule{Priority: 10, Other: "not", From: netip.MustParsePrefix("192.168.0.0/16"), Action: Lookup, Table: TableMain}, "1 rule "},
		{"all but some destinations", Rule{Priority: 10, Other: "not to 192.168.0.0/16", Action: Lookup, Table: TableMain}, ""},
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

// TestCoversByHalves has a tunnel set two half default routes, beside rules that ask
// main first and beside those that do not.
func TestCoversByHalves(t *testing.T) {
	var facts Facts
	for _, half := range []string{"::/1", "8000::/1"} {
		facts.Routes = append(facts.Routes, Route{Family: IPv6, Table: TableMain, Dst: netip.MustParsePrefix(half), Hops: []NextHop{{Interface: "tun0"}}})
	}
	p := &Plan{Rules: []Rule{{Family: IPv6, Priority: 1020, Mark: 1, Mask: 1, Action: Lookup, Table: TableMain, Suppress: true, Protocol: Protocol}}}
	if got := p.Covers(facts); len(got) != 1 || !strings.Contains(got[0], "::/1 and another, by tun0") {
		t.Errorf("beside a class that asks main: %q", got)
	}
	if got := p.Covers(Facts{Routes: facts.Routes[:1]}); got != nil {
		t.Errorf("beside one half alone: %q", got)
	}
	p.Rules[0].Suppress = false
	if got := p.Covers(facts); got != nil {
		t.Errorf("beside a class that is strict: %q", got)
	}
}
