// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"net/netip"
	"strings"
	"testing"

	"waymark/internal/filters"
	"waymark/internal/plan"
)

// TestNatOfAllBut has sources rewritten out of all interfaces but one: out of both
// uplinks alike, unless that is one of them, or only some sources are.
func TestNatOfAllBut(t *testing.T) {
	facts := plan.Facts{Sysctls: map[string]string{"net/ipv4/ip_forward": "1"}}
	nft := func(conditions string) []byte {
		return []byte(`{"nftables": [{"rule": {"family": "ip", "table": "n", "chain": "p", "handle": 3, "expr": [` + conditions + `, {"masquerade": null}]}}]}`)
	}
	but := func(name string) string {
		return `{"match": {"op": "!=", "left": {"meta": {"key": "oifname"}}, "right": "` + name + `"}}`
	}
	const saddr = `{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "172.17.0.1"}}, `
	iptables := func(rule string) []filters.Saved {
		return []filters.Saved{{Command: "iptables", Text: "*nat\n" + rule + "\nCOMMIT\n"}}
	}
	for name, c := range map[string]struct {
		host Host
		want int
	}{
		"nft, all but the LAN":                {Host{Nft: nft(but("lan0"))}, 0},
		"nft, all but an uplink":              {Host{Nft: nft(but("eth0"))}, 1},
		"nft, a bridge's sources":             {Host{Nft: nft(saddr + but("docker0"))}, 0},
		"iptables, all but the LAN":           {Host{Iptables: iptables("-A POSTROUTING ! -o lan0 -j MASQUERADE")}, 0},
		"iptables, all but an uplink":         {Host{Iptables: iptables("-A POSTROUTING ! -o wwan0 -j MASQUERADE")}, 1},
		"iptables, one uplink and the policy": {Host{Iptables: iptables("-A POSTROUTING -o eth0 -j MASQUERADE"), Plan: &plan.Plan{SNAT: []plan.SNAT{{Interface: "wwan0"}}}}, 0},
		"iptables, all of a kind":             {Host{Iptables: iptables("-A POSTROUTING -o wwan+ -j MASQUERADE\n-A POSTROUTING -o eth0 -j MASQUERADE")}, 0},
		"nft, all of a kind":                  {Host{Nft: nft(strings.Replace(but("wwan*"), "!=", "==", 1))}, 1},
		"nft, the LAN's own, as of a hairpin": {Host{Nft: nft(strings.Replace(but("lan0"), "!=", "==", 1))}, 0},
		"iptables, one and a hairpin":         {Host{Iptables: iptables("-A POSTROUTING -o eth0 -j MASQUERADE\n-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -j MASQUERADE")}, 1},
		"nft, one's destinations":             {Host{Nft: nft(strings.Replace(saddr, "saddr", "daddr", 1) + strings.Replace(but("eth0"), "!=", "==", 1))}, 0},
		"iptables, one uplink and none":       {Host{Iptables: iptables("-A POSTROUTING -o eth0 -j MASQUERADE\n-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE")}, 1},
	} {
		c.host.Facts, c.host.Uplinks = facts, []string{"eth0", "wwan0"}
		if found := natFindings(c.host); len(found) != c.want {
			t.Errorf("%s: %d findings, want %d: %+v", name, len(found), c.want, found)
		}
	}
}

// TestLentAddress has sources rewritten to an address of eth0 of what leaves by wwan0.
func TestLentAddress(t *testing.T) {
	facts := plan.Facts{Links: map[string]plan.Link{
		"eth0":  {Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.2/24"), netip.MustParsePrefix("2001:db8::2/64")}},
		"wwan0": {Addresses: []netip.Prefix{netip.MustParsePrefix("10.64.0.2/24")}},
	}}
	for rule, want := range map[string]int{
		"-A POSTROUTING -s 192.168.0.0/16 -j SNAT --to-source 192.0.2.2":                           1,
		"-A POSTROUTING -s 192.168.0.0/16 -o wwan0 -j SNAT --to-source 192.0.2.2-192.0.2.9:1-9999": 1,
		"-A POSTROUTING -j SNAT --to-source [2001:db8::2]:1024-65535":                              1,
		"-A POSTROUTING -s 192.168.0.0/16 -o eth0 -j SNAT --to-source 192.0.2.2":                   0,
		"-A POSTROUTING ! -o wwan0 -j SNAT --to-source 192.0.2.2":                                  0,
		"-A POSTROUTING -j SNAT --to-source 203.0.113.9":                                           0,
		"-A POSTROUTING -j MASQUERADE":                                                             0,
		"-A POSTROUTING -j":                                                                        0,
	} {
		h := Host{Facts: facts, Uplinks: []string{"eth0", "wwan0"}, Iptables: []filters.Saved{{Command: "iptables", Text: "*nat\n" + rule + "\nCOMMIT\n"}}}
		found := natFindings(h)
		if len(found) != want || want == 1 && !strings.Contains(found[0].What, "what leaves by wwan0 the address of eth0") {
			t.Errorf("%s: want %d findings: %+v", rule, want, found)
		}
	}
	for addr, want := range map[string]int{`"192.0.2.2"`: 1, `{"range": ["192.0.2.2", "192.0.2.9"]}`: 1, `"10.64.0.9"`: 0, `{"map": {}}`: 0} {
		h := Host{Facts: facts, Uplinks: []string{"eth0", "wwan0"},
			Nft: []byte(`{"nftables": [{"rule": {"family": "ip", "table": "n", "chain": "p", "handle": 3, "expr": [{"snat": {"addr": ` + addr + `}}]}}]}`)}
		if found := natFindings(h); len(found) != want {
			t.Errorf("nft to %s: want %d findings: %+v", addr, want, found)
		}
	}
}
