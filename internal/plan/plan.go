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
	Mask    Mask
	Uplinks []Uplink
	Classes []Class  // in the policy's order
	Lines   []Line   // every class's matches, in the order in which they are tried
	Blocks  []Block  // by number; each is a selector of the ladder
	Rules   []Rule   // the ladder, in its order, IPv4 before IPv6
	Routes  []Route  // of our tables
	Sysctls []Sysctl // by name
	Hooks   []Hook   //
	Cgroups map[string]uint64
	Waiting []string // what the policy names and the host does not have yet, in sentences
	Notes   []string // what the policy asks for and an apply does not do, with the way to get it
	Main    int      // number of the uplink that main's default route uses; -1: none of ours
	Numbers Numbers
}

// Uplink is one way out, in numbers. Number is its place in the BPF maps;
// Table its routing table.
type Uplink struct {
	Name      string
	Interface string
	Index     int // ifindex; 0 while the interface does not exist
	Number    int
	Table     uint32
	Up        bool // administratively up and running
	Gateways  map[Family]netip.Addr
	Families  map[Family]bool         // families that have a default route here
	Sources   map[Family]netip.Prefix // the address that leads, with its prefix length
	Addresses []netip.Prefix
	Strict    bool
}

// Class is a class, in numbers.
type Class struct {
	Name    string
	Number  uint32 // 1 to 2^bits - 1
	Mark    uint32 // Number, spread over the mask
	Slot    uint32 // its line of counters, from 1
	Route   Way
	Fate    classes.Fate
	Matches int      // how many lines it has
	Waiting []string // cgroups that do not exist yet
}

// Line is one match of a class, as the policy says it and in numbers.
type Line struct {
	Class int // index into Classes
	Text  string
	Pos   classes.Position
	Match match.Match
}

// Sysctl is one value under /proc/sys, by its path there.
type Sysctl struct {
	Name  string
	Value string
	Why   string
}

// Hook is one BPF program at its place.
type Hook struct {
	Program string // its name in bpf
	Place   string // a cgroup directory, or an interface
	Pin     string // its name in the pin directory
	Uplink  int    // for tc egress: the uplink's number
	IIF     int    // for tc ingress at a port: ifindex of the bridge that its packets come in by
	Why     string
}

// Numbers is what has to stay the same from one plan to the next, whatever
// the policy says by then: a socket may carry a number long after its class
// is gone. It is kept with the state that is applied.
type Numbers struct {
	Uplinks  map[string]int                   `json:"uplinks"`  // uplink name to its place in the BPF maps
	Tables   map[string]uint32                `json:"tables"`   // uplink name, or a balance's key, to its table
	Slots    map[string]uint32                `json:"slots"`    // class name to its line of counters
	Classes  map[string]uint32                `json:"classes"`  // class name to its number
	Blocks   []Block                          `json:"blocks"`   //
	Gateways map[string]map[Family]netip.Addr `json:"gateways"` // what `auto` found last, for a link whose routes are gone
}

// Way is a class's route without the class: classes with equal ways share
// their blocks of numbers and the rules for them.
type Way struct {
	Uplinks   []string          `json:"uplinks"`           // names, in order
	Weights   []int             `json:"weights,omitempty"` // of a balance, one for each uplink
	Otherwise classes.Otherwise `json:"otherwise"`
	Strict    bool              `json:"strict,omitempty"`
}

// Block is an aligned range of numbers that belongs to one way: one masked
// fwmark selects it. Size is a power of two and divides First.
type Block struct {
	First uint32 `json:"first"`
	Size  uint32 `json:"size"`
	Way   Way    `json:"way"`
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

// ClassOf is the class that carries a mark; nil for none.
func (p *Plan) ClassOf(mark uint32) *Class {
	for i := range p.Classes {
		if p.Classes[i].Mark == mark&uint32(p.Mask) {
			return &p.Classes[i]
		}
	}
	return nil
}
