// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"waymark/internal/filters"
	"waymark/internal/plan"
)

// Host is what is looked at. A zero field was not looked at, or is not there.
type Host struct {
	Facts          plan.Facts          // rules, routes, links, sysctls, sockets' marks
	Plan           *plan.Plan          // of the policy that is applied or asked about; nil: there is none
	Mask           plan.Mask           // the bits that are Waymark's, or will be
	Conflict       error               // a plan.Conflicts of Plan
	Interfaces     []Interface         //
	Uplinks        []string            // interfaces that are ways out
	Nft            []byte              // what `nft -j list ruleset` prints
	Iptables       []filters.Saved     //
	Xfrm           []Use               // IPsec policies and states
	Programs       []Program           // BPF programs of others, at the places of ours
	TC             []Use               // filters and actions of tc, at the uplinks
	WireGuard      string              // what `wg show all fwmark` prints
	Holders        map[uint32][]string // the processes that have sockets with a mark, in words
	Networkd       *Networkd           // nil: it does not run
	NetworkManager []Connection        // NetworkManager's that have a table of their own; nil: it does not run, or there are none
	Resolv         string              // /etc/resolv.conf
	Lacks          error               // what the kernel lacks that Waymark cannot do without

	free plan.Unused
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
	Place   string // "connect4 of cgroup /sys/fs/cgroup"
	Name    string
	ID      uint32
	Holders []string // the processes that have it, in words
}

// Use is something of the kernel's that looks at the mark, or sets it.
type Use struct {
	What   string // in words
	Sets   bool
	Mark   Mark
	Remove string // the command that removes it
}

// Connection is one of NetworkManager's, or its defaults for all.
type Connection struct {
	Name   string // "" of the defaults
	Family string // ipv4 or ipv6
	Table  string // of its routes
	File   string // where it says so
}

// Networkd is what systemd-networkd does with what is not its own.
type Networkd struct {
	RemovesRules, RemovesRoutes bool
}

// Examine is everything that is found on a host.
func Examine(h Host) Report {
	var found []Finding
	h.free = Free(h)
	for _, look := range []func(Host) []Finding{
		kernelFindings, conflictFindings, ruleFindings, routeFindings, filterFindings, wireguardFindings, socketFindings,
		signFindings, sysctlFindings, networkdFindings, networkManagerFindings, programFindings, resolverFindings, mtuFindings, natFindings, reverseFindings,
	} {
		found = append(found, look(h)...)
	}
	if found == nil {
		found = []Finding{}
	}
	return Report{Findings: sorted(found), Proposal: proposal(h.free), Unseen: []string{}}
}

func proposal(free plan.Unused) Proposal {
	p := Proposal{Rules: free.Rules, Tables: free.Tables}
	if free.Mask != 0 {
		p.Mask = free.Mask.String()
	}
	return p
}

// Free are numbers that nobody on the host was seen to use.
func Free(h Host) plan.Unused { return plan.Free(h.Facts, h.taken()) }

// names are those of all interfaces.
func (h Host) names() (all []string) {
	for _, i := range h.Interfaces {
		all = append(all, i.Name)
	}
	return all
}
