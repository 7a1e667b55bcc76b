// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"waymark/internal/filters"
	"waymark/internal/plan"
)

// Host is what is looked at. A zero field was not looked at, or is not there.
type Host struct {
	Facts      plan.Facts      // rules, routes, links, sysctls, sockets' marks
	Plan       *plan.Plan      // of the policy that is applied or asked about; nil: there is none
	Mask       plan.Mask       // the bits that are Waymark's, or will be
	Conflict   error           // a plan.Conflicts of Plan
	Interfaces []Interface     //
	Uplinks    []string        // interfaces that are ways out
	Nft        []byte          // what `nft -j list ruleset` prints
	Iptables   []filters.Saved //
	Xfrm       []Mark          // of IPsec policies and states
	Programs   []Program       // BPF programs of others, at the places of ours
	Networkd   *Networkd       // nil: it does not run
	Resolv     string          // /etc/resolv.conf
	Lacks      error           // what the kernel lacks that Waymark cannot do without
}

// Interface is a network interface.
type Interface struct {
	Name string
	MTU  int
}

// Mark is an fwmark under a mask, both in host byte order.
type Mark struct{ Mark, Mask uint32 }

// Program is an attached BPF program.
type Program struct {
	Place string // "connect4 of cgroup /sys/fs/cgroup"
	Name  string
	ID    uint32
}

// Networkd is what systemd-networkd does with what is not its own.
type Networkd struct {
	RemovesRules, RemovesRoutes bool
}

// Examine is everything that is found on a host.
func Examine(h Host) Report {
	var found []Finding
	for _, look := range []func(Host) []Finding{
		kernelFindings, conflictFindings, ruleFindings, routeFindings, nftFindings, iptablesFindings, xfrmFindings, socketFindings,
		signFindings, sysctlFindings, networkdFindings, programFindings, resolverFindings, mtuFindings, natFindings,
	} {
		found = append(found, look(h)...)
	}
	if found == nil {
		found = []Finding{}
	}
	n := plan.Free(h.Facts)
	return Report{Findings: sorted(found), Proposal: Proposal{Mask: n.Mask.String(), Rules: n.Rules, Tables: n.Tables}, Unseen: []string{}}
}
