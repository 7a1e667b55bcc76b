// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"slices"

	"waymark/bpf"
)

// protocols are the names of routing protocol numbers, from iproute2's
// rt_protos and FRR's zebra/rt_netlink.h.
var protocols = map[uint8]string{
	0: "somebody who left no name", 2: "the kernel", 3: "an administrator (ip rule, ip route)", 4: "static configuration (systemd-networkd, NetworkManager)",
	8: "gated", 9: "router advertisements", 11: "zebra", 12: "BIRD", 16: "a DHCP client", 18: "keepalived",
	42: "babeld", 84: "OVN", 99: "Open/R", 186: "BGP", 187: "IS-IS", 188: "OSPF", 189: "RIP", 192: "EIGRP", 196: "FRR static",
}

// neighbour is a tool known by the numbers it uses. Ranges are inclusive;
// zero values name nothing. Sources: the tools' own code, as listed in the
// page of fwmark users that ships with the project's design.
type neighbour struct {
	name                        string
	firstPriority, lastPriority uint32
	firstTable, lastTable       uint32
	mark, mask                  uint32
}

var neighbours = []neighbour{
	{name: "Tailscale", firstPriority: 5210, lastPriority: 5270, firstTable: 52, lastTable: 52, mask: 0xff0000},
	{name: "Tailscale beside mwan3", firstPriority: 1310, lastPriority: 1370},
	{name: "mwan3", firstPriority: 1001, lastPriority: 1250, mask: 0x3f00},
	{name: "mwan3", firstPriority: 2001, lastPriority: 2250},
	{name: "mwan3", firstPriority: 3001, lastPriority: 3250},
	{name: "wg-quick", firstTable: 51820, lastTable: 51840, mark: 0xca6c, mask: 0xffffffff},
	{name: "NetBird", firstPriority: 105, lastPriority: 110, firstTable: 7120, lastTable: 7120, mark: 0x1bd00, mask: 0xffffffff},
	{name: "Mullvad", mark: 0x6d6f6c65, mask: 0xffffffff},
	{name: "cgproxy", firstTable: 10007, lastTable: 10007, mark: 0x9973, mask: 0xffffffff},
	{name: "dae", firstTable: 2023, lastTable: 2023, mask: 0x8000000},
	{name: "OVN-Kubernetes", firstPriority: 30, lastPriority: 30, firstTable: 7, lastTable: 7, mark: 0x1745ec, mask: 0xffffffff},
	{name: "Cilium", firstPriority: 9, lastPriority: 20, firstTable: 200, lastTable: 202, mask: 0xf00},
	{name: "Calico", mask: 0xffff0000},
	{name: "kube-proxy", mask: 0xc000},
	{name: "AWS VPC CNI", mask: 0x80},
	{name: "OpenWrt pbr", mask: 0x00ff0000},
	{name: "Talos", firstPriority: 32500, lastPriority: 32501, mask: 0x60},
	{name: "FRR", firstTable: 10000, lastTable: 10999},
}

// mostWholeMarks is the room for them in the BPF map.
const mostWholeMarks = int(bpf.WaymarkLimitsWHOLE_MARKS)

// wholeMarks are the marks that others match whole: those of the tools that
// are known for it, and those in this host's rules. One that had no room
// would get bits of ours.
func (m *maker) wholeMarks() error {
	marks := map[uint32]bool{}
	for _, r := range m.foreignRules() {
		if r.Mask == 1<<32-1 && r.Mark != 0 {
			marks[r.Mark] = true
		}
	}
	for _, n := range neighbours {
		if n.mask == 1<<32-1 {
			marks[n.mark] = true
		}
	}
	m.plan.WholeMarks = slices.Sorted(maps.Keys(marks))
	if len(marks) > mostWholeMarks {
		return fmt.Errorf("keep clear of the marks that others match whole: this host's rules and the tools that are known for it have %d: there is room for %d: remove rules, or give theirs a mask (`fwmark MARK/MASK`)", len(marks), mostWholeMarks)
	}
	return nil
}

// owner names who made a rule or route: by its protocol number, and where
// anybody may have used that, by the tool that is known for what it uses.
func owner(protocol uint8, tool string) string {
	name, ok := protocols[protocol]
	if !ok {
		name = fmt.Sprintf("protocol %d", protocol)
	}
	anybody := !ok || protocol == 0 || protocol == 3 || protocol == 4
	if anybody && tool != "" {
		return name + ", perhaps " + tool
	}
	return name
}

func byPriority(p uint32) string {
	for _, n := range neighbours {
		if n.firstPriority != 0 && n.firstPriority <= p && p <= n.lastPriority {
			return n.name
		}
	}
	return ""
}

func byTable(t uint32) string {
	for _, n := range neighbours {
		if n.firstTable != 0 && n.firstTable <= t && t <= n.lastTable {
			return n.name
		}
	}
	return ""
}

func byMark(mark, mask uint32) string {
	for _, n := range neighbours {
		if n.mask != 0 && n.mask == mask && (n.mark == 0 || n.mark == mark) {
			return n.name
		}
	}
	return ""
}
