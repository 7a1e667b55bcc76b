// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"strings"
	"testing"

	"waymark/internal/filters"
	"waymark/internal/plan"
)

// TestReverseFilters has filters look the way back up, as firewalld and NixOS have
// them do, on hosts whose main leads by one uplink, or prefers it.
func TestReverseFilters(t *testing.T) {
	const drop, ipv6 = `, {"drop": null}`, `{"match": {"op": "==", "left": {"meta": {"key": "nfproto"}}, "right": "ipv6"}}, `
	const proto = `{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": {"set": ["tcp"]}}}, `
	nft := func(before, flags, verdict string) Host {
		return Host{Nft: []byte(`{"nftables": [{"rule": {"family": "inet", "table": "firewalld", "chain": "c", "handle": 3, "expr": [` + before +
			`{"match": {"op": "==", "left": {"fib": {"result": "oif", "flags": [` + flags + `]}}, "right": false}}` + verdict + `]}}]}`)}
	}
	iptables := func(command, rule string) Host {
		return Host{Iptables: []filters.Saved{{Command: command, Text: "*mangle\n" + rule + "\nCOMMIT\n"}}}
	}
	const strict = `"saddr", "mark", "iif"`
	const forwarded, probes = "eth1 (%, answers to what is forwarded)", "eth1 (%, answers to its probes, while it is withdrawn)"
	four, six := func(s string) string { return strings.Replace(s, "%", "IPv4", 1) }, func(s string) string { return strings.Replace(s, "%", "IPv6", 1) }
	for name, c := range map[string]struct {
		host            Host
		both            bool // main has a default by each uplink, and prefers the first
		forwards, asked bool
		want            []string
	}{
		"firewalld":                    {nft(ipv6, strict, drop), false, true, false, []string{six(forwarded), "nft delete rule inet firewalld c handle 3"}},
		"of both families":             {nft(proto, strict, drop), false, true, false, []string{four(forwarded) + "; " + six(forwarded)}},
		"a main that prefers one":      {nft("", strict, drop), true, true, false, []string{": " + four(forwarded) + "; " + six(forwarded)}},
		"probes":                       {nft("", strict, drop), false, false, true, []string{four(probes) + "; " + six(probes)}},
		"any way back":                 {nft("", `"saddr"`, drop), false, true, true, nil},
		"neither forwards nor probes":  {nft("", strict, drop), false, false, false, nil},
		"iptables":                     {iptables("iptables", "-A PREROUTING -m rpfilter --invert -j DROP"), false, true, false, []string{four(forwarded), "iptables -t mangle -D PREROUTING"}},
		"ip6tables, by what it spares": {iptables("ip6tables", "-A c -m rpfilter --validmark -j RETURN"), false, true, false, []string{six(forwarded)}},
		"iptables, any way back":       {iptables("iptables", "-A PREROUTING -m rpfilter --loose --invert -j DROP"), false, true, false, nil},
	} {
		h := c.host
		h.Uplinks, h.Plan, h.Facts.Sysctls = []string{"eth0", "eth1"}, &plan.Plan{}, map[string]string{}
		for k, u := range h.Uplinks {
			up := plan.Uplink{Interface: u, Families: map[plan.Family]bool{}}
			if c.asked {
				up.Probes = 7009
			}
			for _, f := range plan.Families {
				up.Families[f] = true
				if k == 0 || c.both {
					h.Facts.Routes = append(h.Facts.Routes, plan.Route{Family: f, Table: plan.TableMain, Dst: f.Default(), Hops: []plan.NextHop{{Interface: u}}, Metric: uint32(k)})
				}
				if c.forwards {
					h.Facts.Sysctls[plan.ForwardingNames[f]] = "1"
				}
			}
			h.Plan.Uplinks = append(h.Plan.Uplinks, up)
		}
		found := reverseFindings(h)
		if len(found) > 1 || (len(found) == 1) != (c.want != nil) {
			t.Errorf("%s: found %+v", name, found)
		}
		for _, want := range c.want {
			if len(found) == 1 && (found[0].Severity != Serious || !strings.Contains(found[0].Why+found[0].Cure, want)) {
				t.Errorf("%s: nothing of %q in %+v", name, want, found[0])
			}
		}
	}
}
