// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// TestReverseFilter has hosts whose filter is strict, and finds out whether that
// of eth1 stays so, and why not.
func TestReverseFilter(t *testing.T) {
	const uplinks, class = "uplinks: [{name: a, interface: eth0}, {name: b, interface: eth1}]\n", "classes: [{name: x, route: [b, a], match: [{uid: 1}]}]\n"
	for _, c := range []struct {
		name, policy string
		change       func(h *host)
		want         string // why it is loosened; "": it stays
	}{
		{"nothing is in its way", uplinks + class, nil, ""},
		{"IPv6 is forwarded alone", uplinks + class, func(h *host) { h.Sysctls[ForwardingNames[IPv6]] = "1" }, ""},
		{"a class takes its address by its route", uplinks + "classes: [{name: x, route: [b, a], match: [{src: 10.0.2.2}]}]", nil, ""},
		{"a class takes its address in IPv6 alone", uplinks + "classes: [{name: x, route: [a], match: [{src: '2001:db8:2::2'}]}]", nil, ""},
		{"a class is strict elsewhere", uplinks + "classes: [{name: x, route: [a], strict: true, match: [{uid: 1}]}]", nil, ""},
		{"rules of others come after ours", uplinks + class, func(h *host) { h.Rules = append(h.Rules, kernelRule(IPv4, 5000, 55)) }, ""},
		{"the kernel's rule for VRFs", uplinks + class, func(h *host) {
			h.Rules = append(h.Rules, Rule{Family: IPv4, Priority: 900, Action: lookupVRF, Protocol: 2})
		}, ""},
		{"it forwards", uplinks + class, func(h *host) { h.Sysctls[ForwardingNames[IPv4]] = "1" }, "this host forwards"},
		{"it translates", "uplinks: [{name: a, interface: eth0}, {name: b, interface: eth1, snat: true}]\n" + class, nil, "translated"},
		{"it is probed", "uplinks: [{name: a, interface: eth0}, {name: b, interface: eth1, probe: {icmp: [192.0.2.1]}}]\n" + class, nil, "withdrawn"},
		{"it is in a VRF", uplinks + class, func(h *host) { h.change("eth1", func(l *Link) { l.VRF = VRF{"red", 9, 70} }) }, "VRF red"},
		{"it has no way out", uplinks + class, func(h *host) {
			h.Routes = slices.DeleteFunc(h.Routes, func(r Route) bool { return r.Family == IPv4 && r.IsDefault() && r.Hops[0].Interface == "eth1" })
		}, "no IPv4 way out"},
		{"its address is leased", uplinks + class, func(h *host) { h.change("eth1", func(l *Link) { l.Leased = true }) }, "leased"},
		{"an address is nobody's", uplinks + class, func(h *host) {
			h.Own = append(h.Own, addr("198.51.100.9"), addr("198.51.100.7"))
		}, "from 198.51.100.7, which is no uplink's"},
		{"both are in one network", uplinks + class, func(h *host) {
			h.change("eth1", func(l *Link) { l.Addresses[0] = prefix("10.0.1.3/24") })
			h.Own[1] = addr("10.0.1.3")
		}, "in one network with uplink a"},
		{"a strict class leads there", uplinks + "classes: [{name: x, route: [a, b], strict: true, match: [{uid: 1}]}]", nil, "class x is strict"},
		{"a class takes its address elsewhere", uplinks + "classes: [{name: x, route: [a, b], match: [{src: 10.0.2.0/24}]}]", nil, "what comes from 10.0.2.2"},
		{"a balance takes every address", uplinks + "classes: [{name: x, route: {a: 1, b: 1}, match: [{src: 0.0.0.0/0}]}]", nil, "what comes from 10.0.2.2"},
		{"a rule of others comes first", uplinks + class, func(h *host) { h.Rules = append(h.Rules, kernelRule(IPv4, 500, 55)) }, "a rule of others comes before ours"},
		{"a rule of others stands in a gap", uplinks + class, func(h *host) { h.Rules = append(h.Rules, kernelRule(IPv4, 1007, 55)) }, "a rule of others comes before ours"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := twoUplinks()
			h.Own = []netip.Addr{addr("10.0.1.2"), addr("10.0.2.2"), addr("2001:db8:1::2"), addr("2001:db8:2::2"), addr("2001:db8:99::9")}
			h.Sysctls["net/ipv4/conf/all/rp_filter"] = "1"
			if c.change != nil {
				c.change(h)
			}
			p := h.make(t, c.policy, Numbers{})
			mine := func(s Sysctl) bool { return s.Name == rpFilter("eth1") }
			set, kept := slices.IndexFunc(p.Sysctls, mine), slices.IndexFunc(p.Kept, mine)
			switch {
			case (set < 0) == (kept < 0):
				t.Errorf("it is loosened, or it stays: %v, %v", p.Sysctls, p.Kept)
			case (c.want == "") != (set < 0):
				t.Errorf("it is loosened: %v, want for %q", p.Sysctls, c.want)
			case set >= 0 && (p.Sysctls[set].Value != "2" || !strings.Contains(p.Sysctls[set].Why, c.want)):
				t.Errorf("it is set to %s for %q, want %q", p.Sysctls[set].Value, p.Sysctls[set].Why, c.want)
			}
		})
	}
}
