// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"slices"

	"waymark/bpf"
	"waymark/internal/registry"
)

// protocols are the names of routing protocol numbers, from iproute2's
// rt_protos and FRR's zebra/rt_netlink.h.
var protocols = map[uint8]string{
	0: "somebody who left no name", 2: "the kernel", 3: "an administrator (ip rule, ip route)", 4: "static configuration (systemd-networkd, NetworkManager)",
	8: "gated", 9: "router advertisements", 11: "zebra", 12: "BIRD", 16: "a DHCP client", 18: "keepalived",
	42: "babeld", 84: "OVN", 99: "Open/R", 186: "BGP", 187: "IS-IS", 188: "OSPF", 189: "RIP", 192: "EIGRP", 196: "FRR static",
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
	for _, t := range registry.Tools {
		if t.Whole() {
			marks[t.Mark] = true
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

// Owner names who made a rule, as far as it can be told.
func Owner(r Rule) string {
	return owner(r.Protocol, known(registry.Use{Priority: r.Priority, Table: r.Table, Mark: r.Mark, Mask: r.Mask}))
}

// known is the tool that is known for a use; "" for none.
func known(u registry.Use) string {
	if t := registry.Owner(u); t != nil {
		return t.Name
	}
	return ""
}
