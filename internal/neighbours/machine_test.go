// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"errors"
	"strings"
	"testing"

	"waymark/internal/plan"
)

func TestExamine(t *testing.T) {
	local := func(priority uint32) plan.Rule {
		return plan.Rule{Family: plan.IPv4, Priority: priority, Action: plan.Lookup, Table: plan.TableLocal}
	}
	main := func(metric uint32, refuses plan.Action) plan.Route {
		r := plan.Route{Family: plan.IPv4, Table: plan.TableMain, Dst: plan.IPv4.Default(), Metric: metric, Protocol: 3, Refuses: refuses}
		if refuses == "" {
			r.Hops = []plan.NextHop{{Interface: "eth0"}}
		}
		return r
	}
	for _, c := range []struct {
		name     string
		host     Host
		severity Severity
		says     string
	}{
		{"nothing", Host{Facts: plan.Facts{Rules: []plan.Rule{local(0)}}}, "", ""},
		{"a kernel that lacks something", Host{Lacks: errors.New("no BPF")}, Serious, "boot another kernel"},
		{"a resolver of this host", Host{Resolv: "# by systemd-resolved\nnameserver 127.0.0.53\n"}, Note, "the class of the resolver"},
		{"a resolver elsewhere", Host{Resolv: "nameserver 192.0.2.53\n"}, "", ""},
		{"Cilium has moved the local table", Host{Facts: plan.Facts{Rules: []plan.Rule{local(100)}}}, Note, "Waymark's come behind it"},
		{"somebody has moved it further", Host{Plan: &plan.Plan{Rules: []plan.Rule{{Priority: 1000}}}, Facts: plan.Facts{Rules: []plan.Rule{local(1500)}}}, Serious, "rules: {base: 2000}"},
		{"a tunnel with a mark", Host{WireGuard: "wg0\t0xca6c\nwg1\toff\n"}, Note, "the tunnel wg0"},
		{"a tunnel with a mark of ours", Host{WireGuard: "wg0\t0x81000000\n"}, Serious, "wg set wg0 fwmark 0x1`"},
		{"NetworkManager's connection with a table", Host{NetworkManager: []Connection{{Name: "Wired 1", Family: "ipv4", Table: "100"}}}, Warning, `nmcli connection modify "Wired 1" ipv4.route-table 0`},
		{"NetworkManager's settings with one", Host{NetworkManager: []Connection{{Family: "ipv6", Table: "7", File: "/etc/x.conf"}}}, Warning, "`ipv6.route-table` from /etc/x.conf"},
		{"a program of Cilium's", Host{Programs: []Program{{Place: "egress of interface eth0", Name: "cil_to_netdev", ID: 7}}}, Note, "Cilium"},
		{"a program of somebody's", Host{Programs: []Program{{Place: "egress of interface eth0", Name: "prog", ID: 7, Holders: []string{"shaper (pid 9)"}}}}, Note, "shaper (pid 9)"},
		{"tc sets the mark", Host{TC: []Use{{What: "tc filter", Sets: true, Mark: Mark{5, 1<<32 - 1}, Remove: "tc filter del"}}}, Serious, "`tc filter del`"},
		{"tc matches it whole", Host{TC: []Use{{What: "tc filter", Mark: Mark{5, 1<<32 - 1}}}}, Warning, "with a class's bits beside it"},
		{"a socket with another's mark", Host{Facts: plan.Facts{InUse: map[uint32]bool{0x80000: true}}}, Note, "in no class"},
		{"its process", Host{Facts: plan.Facts{InUse: map[uint32]bool{0x80000: true}}, Holders: map[uint32][]string{0x80000: {"tailscaled (pid 4)"}}}, Note, "tailscaled (pid 4)"},
		{"Docker", Host{Interfaces: []Interface{{Name: "docker0"}}}, Note, "Docker"},
		{"all of Cilium's bits, not of one entry", Host{Interfaces: []Interface{{Name: "cilium_host"}}}, Serious, "take other bits"},
		{"uplinks of different MTUs", Host{Uplinks: []string{"a", "b"}, Interfaces: []Interface{{"a", 1500}, {"b", 1400}}}, Note, "b 1400"},
		{"networkd removes rules", Host{Networkd: &Networkd{RemovesRules: true}}, Serious, "networkd-foreign.conf"},
		{"a strict filter, and a dot in the name", Host{Plan: &plan.Plan{}, Uplinks: []string{"eth0.100"}, Facts: plan.Facts{Sysctls: map[string]string{"net/ipv4/conf/eth0.100/rp_filter": "1"}}}, Serious, "sysctl -w net/ipv4/conf/eth0.100/rp_filter=2"},
		{"main refuses behind its default", Host{Facts: plan.Facts{Routes: []plan.Route{main(0, ""), main(9, plan.Unreachable)}}}, Warning, "ip -4 route del unreachable default metric 9 table main protocol 3 && ip -4 rule add priority 32767 unreachable`"},
		{"main refuses alone", Host{Facts: plan.Facts{Routes: []plan.Route{main(9, plan.Blackhole)}}}, Serious, "strict: true"},
		{"main throws", Host{Facts: plan.Facts{Routes: []plan.Route{main(9, plan.Throw)}}}, "", ""},
		{"IPsec with bits of ours", Host{Xfrm: []Use{{What: "IPsec policy", Mark: Mark{0x80000000, 0x80000000}, Remove: "ip xfrm policy delete src"}}}, Serious, "`ip xfrm policy delete src`"},
		{"IPsec sets the mark", Host{Xfrm: []Use{{What: "IPsec state", Sets: true, Mark: Mark{5, 1<<32 - 1}, Remove: "ip xfrm state delete"}}}, Serious, "`ip xfrm state delete`"},
		{"networkd does not", Host{Networkd: &Networkd{}}, "", ""},
	} {
		c.host.Mask = usual
		check(t, c.name, Examine(c.host).Findings, c.severity, c.says)
	}
}

// What is proposed keeps clear of what filters, tunnels and sockets use too.
func TestProposal(t *testing.T) {
	h := Host{Mask: usual, Interfaces: []Interface{{Name: "cali123"}}}
	h.Facts.InUse = map[uint32]bool{0x4: true}
	h.Nft = []byte(`{"nftables": [{"rule": {"family": "inet", "table": "x", "chain": "c", "handle": 7, "expr": [{"match": {"op": "==", "left": {"&": [{"meta": {"key": "mark"}}, 16]}, "right": 16}}]}}]}`)
	if mask := uint32(Free(h).Mask); mask == 0 || mask&0xffff0014 != 0 {
		t.Errorf("proposed %#x, which others use some of", mask)
	}
	if mask := Free(Host{Mask: usual}).Mask; mask != usual {
		t.Errorf("proposed %#x on an empty host", mask)
	}
	if !strings.Contains(Examine(h).Findings[0].Cure, "take other bits") && uint32(usual)&^0xffff0000 == 0 {
		t.Errorf("the cure is %q", Examine(h).Findings[0].Cure)
	}
}

// Where no bit is left, none is proposed.
func TestNoProposal(t *testing.T) {
	h := Host{Mask: usual}
	for bit := range 32 {
		h.Facts.Rules = append(h.Facts.Rules, plan.Rule{Family: plan.IPv4, Priority: 100, Mark: 1 << bit, Mask: 1 << bit, Action: plan.Lookup, Table: 9, Protocol: 3})
	}
	r := Examine(h)
	var text strings.Builder
	if err := r.Print(&text); err != nil || r.Proposal.Mask != "" || strings.Contains(text.String(), "mask: 0x0}") || !strings.Contains(text.String(), "every bit") {
		t.Errorf("proposed %+v: %v\n%s", r.Proposal, err, text.String())
	}
}

// What could not be looked at may be in the way.
func TestUnseenIsNotNothing(t *testing.T) {
	r := Examine(Host{Mask: usual})
	r.Unseen = []string{"run nft: exit status 1"}
	var text strings.Builder
	if err := r.Print(&text); err != nil || !strings.Contains(text.String(), "nothing that was looked at is in Waymark's way\n") {
		t.Errorf("%v:\n%s", err, text.String())
	}
}

// A transparent proxy's rule that looks for its own bits finds them beside a
// class's; one for a whole mark does not.
func TestProxyIsTold(t *testing.T) {
	for mask, beside := range map[uint32]bool{0xff: false, 1<<32 - 1: true} {
		r := plan.Rule{Family: plan.IPv4, Priority: 32000, Mark: 1, Mask: mask, Action: plan.Lookup, Table: 100}
		why := Host{Mask: usual}.proxyFinding(r).Why
		if !strings.Contains(why, "before this one") || strings.Contains(why, "another mark") != beside {
			t.Errorf("mask %#x: %s", mask, why)
		}
	}
}
