// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"

	"waymark/classes"
	"waymark/internal/match"
)

// Facts is what the host is at the moment a plan is made. It is gathered
// by internal/host and internal/rpdb and never changed by a plan.
type Facts struct {
	Links   map[string]Link   `json:"links"`             // by interface name; an absent one is waited for
	Inner   map[string]Inner  `json:"inner"`             // interfaces that packets of others may come in by: all but lo
	Own     []netip.Addr      `json:"own"`               // the addresses of all the host's interfaces
	Routes  []Route           `json:"routes"`            // routes of every table, both families, in the kernel's order
	Rules   []Rule            `json:"rules"`             // every rule of both families, in the kernel's order
	Users   map[string]uint32 `json:"users"`             // user names of the policy that exist, to uid
	Gone    []string          `json:"gone,omitempty"`    // those of Users that the host does not know now: their uids are those that they had
	Places  map[string]bool   `json:"places,omitempty"`  // classes in which `waymark exec` has a cgroup
	Sysctls map[string]string `json:"sysctls"`           // values of the sysctls a plan may change, by dotted name with the interface last
	Changed []string          `json:"changed,omitempty"` // sysctls that an applied plan has changed
	Before  map[string]string `json:"before,omitempty"`  // those, with the values that they had
	InUse   map[uint32]bool   `json:"inUse,omitempty"`   // marks of the sockets open in this network namespace
	// Advertised says that main holds an IPv6 default route from router
	// advertisements, which the kernel removes when forwarding is switched on
	// for any interface (rt6_purge_dflt_routers).
	Advertised bool `json:"advertised"`
	Arms       bool `json:"arms"` // the kernel has the tracepoints at which cgroups are armed as they are made
	// Traces are those of TracePrograms whose tracepoints the kernel has, in the
	// form that they need.
	Traces map[string]bool `json:"traces,omitempty"`
	// Silent are the families for which the kernel does not tell the egress
	// program the way of a class (bpf_fib_lookup by mark, or in one table):
	// their misroutes are counted and not repaired.
	Silent map[Family]bool `json:"silent,omitempty"`

	// Tracks says that the kernel follows connections and gives them marks, by
	// rules of nftables.
	Tracks bool `json:"tracks,omitempty"`

	// Withdrawn are uplinks that nothing is to be sent by though their link is
	// up, by name, each with the reason: their probes find nobody.
	Withdrawn map[string]string `json:"withdrawn,omitempty"`

	Containers []Container `json:"containers,omitempty"` // that the policy names and that exist, in a steady order
	Mute       []string    `json:"mute,omitempty"`       // container runtimes that the policy needs and that do not answer, in sentences
}

// Container is one that a container runtime has, running or not, or a pod.
type Container struct {
	Socket string `json:"socket"` // of the runtime
	ID     string `json:"id"`
	classes.Identity
	Cgroups []match.Cgroup `json:"cgroups"` // where it is, or will be when it starts
}

// Inner is an interface that packets of others may come in by.
type Inner struct {
	Index  int  `json:"index"`            // ifindex
	Master int  `json:"master,omitempty"` // ifindex of the bridge or bond it is a port of, by which its packets come in; 0 for none
	Bridge bool `json:"bridge,omitempty"`
}

// Link is one network interface.
type Link struct {
	Index        int            `json:"index"`                  // ifindex
	Up           bool           `json:"up"`                     // administratively up
	Carrier      bool           `json:"carrier"`                // running
	PointToPoint bool           `json:"pointToPoint,omitempty"` // needs no gateway (PPP, tun, WireGuard)
	VRF          VRF            `json:"vrf,omitzero"`           // that it is enslaved to
	Leased       bool           `json:"leased,omitempty"`       // an IPv4 address of it is valid for a time only
	Addresses    []netip.Prefix `json:"addresses"`              // global and site addresses with their prefix length, without tentative ones; deprecated ones are the last
	Deprecated   []netip.Prefix `json:"deprecated,omitempty"`   // those of them that new connections take only where there is no other (IPv6)
}

// VRF is a device that stands for a routing domain of its own. The zero value
// is the domain of everything that is in none.
type VRF struct {
	Name  string `json:"name"`
	Index int    `json:"index"` // ifindex
	Table uint32 `json:"table"` // of its routes
}
