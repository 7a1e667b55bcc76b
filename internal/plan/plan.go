// SPDX-License-Identifier: Apache-2.0

// Package plan turns a policy and facts about the host into one immutable
// Plan, prints it, and diffs two. Pure.
package plan

import (
	"net/netip"

	"waymark/classes"
	"waymark/internal/match"
)

// Plan is what the kernel should hold for a policy on this host.
type Plan struct {
	Mask       Mask           `json:"mask"`
	Uplinks    []Uplink       `json:"uplinks"`
	Classes    []Class        `json:"classes"`        // in the policy's order
	Lines      []Line         `json:"lines"`          // every class's matches, in the order in which they are tried
	Blocks     []Block        `json:"blocks"`         // by number; each is a selector of the ladder
	Rules      []Rule         `json:"rules"`          // the ladder, in its order, IPv4 before IPv6
	Routes     []Route        `json:"routes"`         // of our tables
	SNAT       []SNAT         `json:"snat"`           // by uplink
	Answers    []Answer       `json:"answers"`        // by uplink; none while the host forwards nothing
	Sysctls    []Sysctl       `json:"sysctls"`        // by name
	Kept       []Sysctl       `json:"kept,omitempty"` // that stay as they are, where a plan might change them, with the reason
	Hooks      []Hook         `json:"hooks"`          //
	Waiting    []string       `json:"waiting"`        // what the policy names and the host does not have yet, in sentences
	Notes      []string       `json:"notes"`          // what the policy asks for and an apply does not do, with the way to get it
	Main       int            `json:"main"`           // number of the uplink that main's default route uses; -1: none of ours
	Numbers    Numbers        `json:"numbers"`
	Inside     []netip.Prefix `json:"inside,omitempty"`     // prefixes that are the host's own, or that main reaches by more than its default
	ByMain     []netip.Prefix `json:"byMain,omitempty"`     // those of them that main reaches
	WholeMarks []uint32       `json:"wholeMarks,omitempty"` // marks that others match whole; sockets that carry one are left alone

	Off []classes.Group `json:"off,omitempty"` // what is not counted, by the policy
}

// Uplink is one way out, in numbers. Number is its place in the BPF maps;
// Table its routing table.
type Uplink struct {
	Name      string                  `json:"name"`
	Interface string                  `json:"interface"`
	Index     int                     `json:"index"` // ifindex; 0 while the interface does not exist
	VRF       VRF                     `json:"vrf,omitzero"`
	Number    int                     `json:"number"`
	Table     uint32                  `json:"table"`
	Up        bool                    `json:"up"`                  // administratively up and running
	Withdrawn string                  `json:"withdrawn,omitempty"` // why its classes go elsewhere though it is up; "": they do not
	Probes    uint32                  `json:"probes,omitempty"`    // the table that what is bound to the interface takes, withdrawn or not; 0: it is not probed
	Gateways  map[Family]netip.Addr   `json:"gateways"`            // next hops, as far as they are known
	Families  map[Family]bool         `json:"families"`            // families that have a default route here: a next hop, if the link needs one, and an address
	Sources   map[Family]netip.Prefix `json:"sources"`             // the address that leads, with its prefix length
	Addresses []netip.Prefix          `json:"addresses"`
	Strict    bool                    `json:"strict"`
}

// Leads tells whether the uplink's link is up, and has a way out of some family.
func (u *Uplink) Leads() bool { return u.Up && len(u.Families) > 0 }

// Usable tells whether classes leave by the uplink: it leads out, as far as its
// probes find.
func (u *Uplink) Usable() bool { return u.Leads() && u.Withdrawn == "" }

// Class is a class, in numbers.
type Class struct {
	Name    string       `json:"name"`
	Number  uint32       `json:"number"` // 1 to 2^bits - 1
	Mark    uint32       `json:"mark"`   // Number, spread over the mask
	Slot    uint32       `json:"slot"`   // its line of counters, from 1
	Route   Way          `json:"route"`
	Fate    classes.Fate `json:"fate"`
	Matches int          `json:"matches"` // how many lines it has
}

// NoClass is in place of a class's index for a line whose traffic has none.
const NoClass = -1

// ClassName is a class's name by its index; classes.Unclassed of NoClass.
func (p *Plan) ClassName(class int) string {
	if class == NoClass {
		return classes.Unclassed
	}
	return p.Classes[class].Name
}

// ClassMark is a class's mark by its index; 0 of NoClass.
func (p *Plan) ClassMark(class int) uint32 {
	if class == NoClass {
		return 0
	}
	return p.Classes[class].Mark
}

// Line is one match of a class, as the policy says it and in numbers.
type Line struct {
	Class int              `json:"class"` // index into Classes, or NoClass
	Text  Words            `json:"text"`
	Pos   classes.Position `json:"pos"`
	Match match.Match      `json:"match"`

	Containers []string `json:"containers,omitempty"` // that it names and that exist: name and short id
}

// Sysctl is one value under /proc/sys, by its path there.
type Sysctl struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Why   string `json:"why"`
}

// Hook is one BPF program at its place.
type Hook struct {
	Program  string `json:"program"`            // its name in bpf
	Place    string `json:"place"`              // a cgroup directory, or an interface
	Pin      string `json:"pin"`                // its name in the pin directory
	Uplink   int    `json:"uplink"`             // for tc egress: the uplink's number
	Master   int    `json:"master,omitempty"`   // ifindex of what the interface is a port of: for tc ingress a bridge or bond, by which its packets come in, for tc egress a VRF
	Filtered bool   `json:"filtered,omitempty"` // for tc ingress at a bridge: the packet filter may have taken its packets' sockets
	Why      string `json:"why"`
}

// UplinkNamed finds an uplink by its name; nil if the plan has none such.
func (p *Plan) UplinkNamed(name string) *Uplink {
	for i := range p.Uplinks {
		if p.Uplinks[i].Name == name {
			return &p.Uplinks[i]
		}
	}
	return nil
}

// UplinkNumbered finds an uplink by its place in the BPF maps; nil if the plan
// has none there.
func (p *Plan) UplinkNumbered(n int) *Uplink {
	for i := range p.Uplinks {
		if p.Uplinks[i].Number == n {
			return &p.Uplinks[i]
		}
	}
	return nil
}

// GoneUplinks are the places in the BPF maps of uplinks that the plan has no
// more: their counts are there still.
func (p *Plan) GoneUplinks() (places []int) {
	for _, n := range p.Numbers.Uplinks {
		if p.UplinkNumbered(n) == nil {
			places = append(places, n)
		}
	}
	return places
}

// GoneSlots are the lines of counters of classes that the plan has no more, their
// counts with them.
func (p *Plan) GoneSlots() (slots []uint32) {
	used := map[uint32]bool{0: true}
	for _, c := range p.Classes {
		used[c.Slot] = true
	}
	for _, slot := range p.Numbers.Slots {
		if !used[slot] {
			slots = append(slots, slot)
		}
	}
	return slots
}

// ClassOf is the class that carries a mark; nil for none.
func (p *Plan) ClassOf(mark uint32) *Class {
	for i := range p.Classes {
		if p.Classes[i].Mark == mark&uint32(p.Mask) {
			return &p.Classes[i]
		}
	}
	return nil
}

// NamesCgroups tells whether any line takes traffic by its cgroup.
func (p *Plan) NamesCgroups() bool {
	for i := range p.Lines {
		if p.Lines[i].Match.Cgroup != nil {
			return true
		}
	}
	return false
}

// Holds tells whether a mark is of a number that is kept for the plan's
// routes, whether or not a class has it now.
func (p *Plan) Holds(mark uint32) bool {
	for _, b := range p.Blocks {
		if m, mask := p.Mask.block(b); mark&mask == m {
			return true
		}
	}
	return false
}
