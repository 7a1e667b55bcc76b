// SPDX-License-Identifier: Apache-2.0

// Package classes is the policy language: it parses, validates and prints it.
package classes

import "net/netip"

// What a policy says when it is silent.
const (
	DefaultMask       = 0xb7000000 // the six mark bits that no known tool claims
	DefaultRulesBase  = 1000
	DefaultTablesBase = 7000
)

// MaskBits is the most bits of a mask that are used: room for 65,535 classes.
const MaskBits = 16

// Policy is one whole, valid policy, merged from all its files. Every default
// is filled in. It is not changed after it was parsed, and may be shared.
type Policy struct {
	Mark      Mark
	Rules     Rules
	Tables    Tables
	Runtimes  Runtimes
	Telemetry Telemetry
	Balance   Balance
	Uplinks   []Uplink // at least one; names and interfaces are unique
	Classes   []Class  // earlier wins
	Moves     []Move   // before all classes; later wins

	sources []*source
}

// Mark says which bits of the fwmark are ours.
type Mark struct {
	Mask uint32   // host byte order, never 0; the bits may have gaps
	Pos  Position // zero when the policy does not say it
}

// Rules says where our ip rules begin.
type Rules struct {
	Base int      // the priority of the first one, 1 to 32000
	Pos  Position // zero when the policy does not say it
}

// Telemetry says what is not counted of classes, beside packets, bytes,
// misroutes and repairs, which always are.
type Telemetry struct {
	Off []Group  // in the order of Groups
	Pos Position // zero when the policy does not say it
}

// Group is a part of what is counted that can be switched off.
type Group string

// The groups.
const (
	GroupRTT     Group = "rtt"     // round-trip times of TCP
	GroupConnect Group = "connect" // connections by what became of them, retransmits, and connect times
	GroupQueue   Group = "queue"   // times from tc egress to the driver
	GroupDrops   Group = "drops"   // what the kernel drops, by its reason
	GroupHits    Group = "hits"    // of each match
	GroupSends   Group = "sends"   // datagrams that could not be sent, by the error
)

// Groups are all groups.
var Groups = []Group{GroupRTT, GroupConnect, GroupQueue, GroupDrops, GroupHits, GroupSends}

// Balance says what of a packet chooses among the uplinks of a weighted route. It
// is one for all classes, for the kernel's is.
type Balance struct {
	By  Spread
	Pos Position // zero when the policy does not say it
}

// Spread is what has to be the same for two packets to have one uplink for sure.
type Spread string

// The values of Spread.
const (
	SpreadFlow      Spread = "flow"      // the default: addresses, protocol and ports
	SpreadAddresses Spread = "addresses" // source and destination address
)

// Tables says where our routing tables begin. Uplinks and weighted routes take
// one number each, counted from Base.
type Tables struct {
	Base int      // the number of the first one
	Pos  Position // zero when the policy does not say it
}

// Uplink is one way out of the host.
type Uplink struct {
	Name      string
	Interface string
	Gateway   Gateway
	SNAT      bool           // packets that leave here get another source: one of the uplink's own addresses, or of SNATTo
	SNATTo    []AddressRange // at most one of each family; a family without one gets the uplink's own
	Strict    bool           // nothing but what its own table holds is reachable from its addresses
	Lopsided  bool           // answers to what is forwarded in here need not leave here: `symmetric: false`
	Probe     *Probe         // nil: a link that is up is trusted
	Pos       Position
}

// AddressRange is addresses of one family in a row, both ends included.
type AddressRange struct{ First, Last netip.Addr }

// String is a single address, or first-last.
func (r AddressRange) String() string {
	if r.First == r.Last {
		return r.First.String()
	}
	return r.First.String() + "-" + r.Last.String()
}

// Gateway says how an uplink's next hops are found. The zero value is `none`:
// a point-to-point link, which needs no next hop.
type Gateway struct {
	Auto      bool         // what the host knows; the default
	Addresses []netip.Addr // at most one per family; empty when Auto
}

// Class is a named set of traffic and its route.
type Class struct {
	Name      string
	Route     []Hop // at least one; weights are all zero or all positive
	Otherwise Otherwise
	Existing  Fate
	Strict    bool    // nothing but what its route's tables hold is reachable
	Matches   []Match // at least one; traffic that any of them takes is in the class
	Pos       Position
	RoutePos  Position
}

// weighted reports whether the route is a balance and not an ordered list.
func (c *Class) weighted() bool { return len(c.Route) > 0 && c.Route[0].Weight > 0 }

// Hop is one uplink of a route.
type Hop struct {
	Uplink string // the name of one of the policy's uplinks
	Weight int    // 1 to 255 in a balance; 0 in an ordered list
	Pos    Position
}

// Otherwise says what happens to a class when no uplink of its route works.
type Otherwise string

// The values of Otherwise.
const (
	OtherwiseMain        Otherwise = "main" // the default: as if there was no class
	OtherwiseUnreachable Otherwise = "unreachable"
	OtherwiseProhibit    Otherwise = "prohibit"
	OtherwiseBlackhole   Otherwise = "blackhole"
)

// Fate says what happens to open sockets when their class or its route changes.
type Fate string

// The values of Fate.
const (
	FateKeep  Fate = "keep" // the default
	FateMove  Fate = "move"
	FateReset Fate = "reset"
)

// Match takes the traffic that all its fields agree on; a field that is not
// named agrees with everything, and inside a field any one value is enough. At
// least one field is named.
type Match struct {
	Cgroup       []string       // of their whole subtrees; clean paths from the cgroup root without the leading slash, each name a Glob
	Unit         []Unit         // the same by a unit's name; never beside Cgroup
	Container    []Container    // the same by what a container runtime says; never beside Cgroup or Unit
	UID          []User         // the socket's owner
	Proto        []uint8        // IP protocol numbers
	Src, Dst     []netip.Prefix // masked; a single address is a /32 or /128
	Sport, Dport []PortRange    // of a protocol that has ports
	IIF          []string       // the interface a forwarded packet came in by
	Pos          Position
}

// User is a user by name, or a range of user ids.
type User struct {
	Name   string // "" means Lo to Hi; otherwise still to be looked up
	Lo, Hi uint32 // inclusive
	Pos    Position
}

// PortRange is a range of ports, both ends included, in host byte order.
type PortRange struct {
	Lo, Hi uint16 // 1 to 65535; equal for a single port
}
