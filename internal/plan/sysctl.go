// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"
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
	for k, u := range m.plan.Uplinks {
		if u.Index == 0 {
			continue
		}
		m.reverseFilter(k)
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

// madeLoose tells whether the last plan loosened this interface: then the
// value read now is ours, and says nothing about what it would be.
func (m *maker) madeLoose(i string) bool { return slices.Contains(m.facts.Changed, rpFilter(i)) }

func (m *maker) sysctl(name, value, why string) {
	if _, exists := m.facts.Sysctls[name]; exists {
		m.plan.Sysctls = append(m.plan.Sysctls, Sysctl{Name: name, Value: value, Why: why})
	}
}

// FiltersReverse tells whether a sysctl is a reverse path filter's.
func FiltersReverse(name string) bool { return strings.HasSuffix(name, "/rp_filter") }

// Sets tells whether a value is what a plan gives a sysctl: one that is not
// was changed by somebody else since, and is theirs.
func Sets(name, value string) bool {
	if FiltersReverse(name) {
		return value == "2"
	}
	return value == "1"
}
