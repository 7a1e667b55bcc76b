// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"testing"
)

// tailscale are the rules of a node, and a route to another.
func tailscale() Facts {
	const bypass, mask = 0x80000, 0xff0000
	return Facts{Rules: []Rule{
		{Family: IPv4, Priority: 5210, Mark: bypass, Mask: mask, Action: Lookup, Table: TableMain},
		{Family: IPv4, Priority: 5230, Mark: bypass, Mask: mask, Action: Lookup, Table: TableDefault},
		{Family: IPv4, Priority: 5250, Mark: bypass, Mask: mask, Action: Unreachable},
		{Family: IPv4, Priority: 5270, Action: Lookup, Table: 52},
	}, Routes: []Route{{Family: IPv4, Table: 52, Dst: netip.MustParsePrefix("100.64.0.2/32"), Hops: []NextHop{{Interface: "tailscale0"}}}}}
}

// TestFreePriorities finds room between others' rules, as much as there is.
func TestFreePriorities(t *testing.T) {
	every := func(step uint32) (f Facts) {
		for p := uint32(1000); p < lastPriority; p += step {
			f.Rules = append(f.Rules, Rule{Family: IPv4, Priority: p, Action: Lookup, Table: 9, Protocol: 3})
		}
		return f
	}
	vpn := Facts{Rules: []Rule{{Family: IPv4, Priority: 999, Other: "not", Mark: 0xca6c, Mask: 1<<32 - 1, Action: Lookup, Table: 51820, Protocol: 3}},
		Routes: []Route{{Family: IPv4, Table: 51820, Dst: IPv4.Default(), Hops: []NextHop{{Interface: "wg0"}}}}}
	if got := Free(vpn, 0).Rules; got != 200 {
		t.Errorf("beside a tunnel that takes everything: base %d, want 200", got)
	}
	var mwan3 Facts
	for _, p := range []uint32{1001, 1002, 2001, 2002, 3001, 3002} {
		r := Rule{Family: IPv4, Priority: p, Other: "iif eth0", Action: Lookup, Table: 1}
		if p > 2000 {
			r.Other, r.Mark, r.Mask = "", p<<8&0x3f00, 0x3f00
		}
		mwan3.Rules = append(mwan3.Rules, r)
	}
	if got := Free(mwan3, 0).Rules; got != 1500 {
		t.Errorf("beside what marks everything: base %d, want 1500", got)
	}
	if got := Free(tailscale(), 0).Rules; got != 6000 {
		t.Errorf("beside Tailscale: base %d, want 6000", got)
	}
	exit := tailscale()
	exit.Routes = append(exit.Routes, Route{Family: IPv4, Table: 52, Dst: IPv4.Default(), Hops: []NextHop{{Interface: "tailscale0"}}})
	if got := Free(exit, 0).Rules; got != 1000 {
		t.Errorf("beside Tailscale with an exit node: base %d, want 1000", got)
	}
	for step, want := range map[uint32]int{40000: 2000, 1000: 1500, 300: 500, 70: 500, 10: 500} {
		if got := Free(every(step), 0).Rules; got != want {
			t.Errorf("with a rule at every %d: base %d, want %d", step, got, want)
		}
	}
}
