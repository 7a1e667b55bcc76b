// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"

	"waymark/classes"
)

// SysctlNames are the values a plan may want to know or change for the
// given interfaces, as paths under /proc/sys.
func SysctlNames(interfaces []string) []string {
	names := append([]string{bridgeFilter, "net/ipv4/conf/all/rp_filter", ForwardingNames[IPv4], ForwardingNames[IPv6], loForwarding("ipv4"), loForwarding("ipv6")}, acceptsAcross...)
	names = append(names, hashPolicies...)
	for _, i := range interfaces {
		names = append(names, rpFilter(i), linkdown("ipv4", i), linkdown("ipv6", i))
	}
	return names
}

// acceptsAcross have a socket that is bound to no VRF get what comes in by one,
// of either family. They are the administrator's: all servers of the host are
// then asked from every VRF.
var acceptsAcross = []string{"net/ipv4/tcp_l3mdev_accept", "net/ipv4/udp_l3mdev_accept"}

// hashPolicies say, for each family, what of a packet chooses among the hops of a
// route: 0 its addresses, 1 also its ports, 2 what is inside of a tunnel's, 3 what
// another sysctl says.
var hashPolicies = []string{"net/ipv4/fib_multipath_hash_policy", "net/ipv6/fib_multipath_hash_policy"}

// bridgeFilter is there if the packet filter can see what is bridged.
const bridgeFilter = "net/bridge/bridge-nf-call-iptables"

// OnlyRead tells whether no plan changes a sysctl of SysctlNames.
func OnlyRead(name string) bool {
	return name == "net/ipv4/conf/all/rp_filter" || name == ForwardingNames[IPv4] || name == ForwardingNames[IPv6] || name == bridgeFilter || slices.Contains(acceptsAcross, name)
}

func rpFilter(i string) string { return "net/ipv4/conf/" + i + "/rp_filter" }
func linkdown(family, i string) string {
	return "net/" + family + "/conf/" + i + "/ignore_routes_with_linkdown"
}

func loForwarding(family string) string { return "net/" + family + "/conf/lo/forwarding" }

func (m *maker) sysctls() {
	strict := m.facts.Sysctls["net/ipv4/conf/all/rp_filter"] == "1"
	for _, u := range m.plan.Uplinks {
		if u.Index == 0 {
			continue
		}
		own := m.facts.Sysctls[rpFilter(u.Interface)]
		if own == "1" || strict && own != "2" || m.madeLoose(u.Interface) {
			m.sysctl(rpFilter(u.Interface), "2", "strict filtering asks main for the way back and drops the replies to classed traffic; loose asks only that there is one")
		}
		for _, family := range []string{"ipv4", "ipv6"} {
			m.sysctl(linkdown(family, u.Interface), "1", "a link without carrier stops answering in its table, so the next rule does")
		}
	}
	const ask = "lets the egress program ask the kernel for the way of a class"
	if !m.facts.Silent[IPv4] {
		m.sysctl(loForwarding("ipv4"), "1", ask)
	}
	if !m.facts.Silent[IPv6] && !m.facts.Advertised {
		m.sysctl(loForwarding("ipv6"), "1", ask)
	}
	m.spread()
	slices.SortFunc(m.plan.Sysctls, func(a, b Sysctl) int { return strings.Compare(a.Name, b.Name) })
}

// spread has the flows of a balance spread over its uplinks, unless the host's
// administrator has chosen something else than the kernel's default.
func (m *maker) spread() {
	if m.policy.Balance.By != classes.SpreadFlow || !slices.ContainsFunc(m.plan.Classes, func(c Class) bool { return c.Route.Weights != nil }) {
		return
	}
	for _, name := range hashPolicies {
		if m.facts.Sysctls[name] == "0" || slices.Contains(m.facts.Changed, name) {
			m.sysctl(name, "1", "flows of a balance are spread by their ports, too: by addresses alone, all that goes from one to another goes one way")
		}
	}
}

// madeLoose tells whether the last plan loosened this interface: then the
// value read now is ours, and says nothing about what it would be.
func (m *maker) madeLoose(i string) bool { return slices.Contains(m.facts.Changed, rpFilter(i)) }

func (m *maker) sysctl(name, value, why string) {
	if _, exists := m.facts.Sysctls[name]; exists {
		m.plan.Sysctls = append(m.plan.Sysctls, Sysctl{Name: name, Value: value, Why: why})
	}
}

// Sets tells whether a value is what a plan gives a sysctl: one that is not
// was changed by somebody else since, and is theirs.
func Sets(name, value string) bool {
	if strings.HasSuffix(name, "/rp_filter") {
		return value == "2"
	}
	return value == "1"
}
