// SPDX-License-Identifier: Apache-2.0

// Package match says what a flow must be to win a line of the policy, in
// numbers, and compiles such lines to the table the BPF programs search.
package match

import "net/netip"

// Range is an inclusive range of numbers.
type Range struct {
	Lo uint32 `json:"lo"`
	Hi uint32 `json:"hi"`
}

// contains tells whether v lies in the range.
func (r Range) contains(v uint32) bool { return r.Lo <= v && v <= r.Hi }

// Match is one line of the policy. A flow must hold in every field that is
// not empty, by any of the field's values. The zero Match holds for
// everything.
type Match struct {
	Cgroup []Cgroup       `json:"cgroup,omitempty"` // any of these
	UID    []Range        `json:"uid,omitempty"`    // user ids of the initial user namespace
	Proto  []Range        `json:"proto,omitempty"`  // IP protocol numbers
	Src    []netip.Prefix `json:"src,omitempty"`    // masked; a v4-mapped address is IPv4 before it gets here
	Dst    []netip.Prefix `json:"dst,omitempty"`
	Sport  []Range        `json:"sport,omitempty"` // 1 to 65535
	Dport  []Range        `json:"dport,omitempty"`
	IIF    []Range        `json:"iif,omitempty"` // ifindex a forwarded packet came in by
}

// Flow is what a line is held against.
type Flow struct {
	Cgroup string     // path below the cgroup root; "" for the root itself or one elsewhere
	UID    uint32     //
	Proto  uint32     //
	Src    netip.Addr // zero: not known yet, as at a socket's creation; unspecified: an unbound socket
	Dst    netip.Addr // zero: not known yet
	Sport  uint32     // 0: none, or not bound yet
	Dport  uint32     // 0: none
	IIF    uint32     // 0: made on this host
}

// First is the index of the first line that holds for a flow. It is the
// definition of what the compiled table answers.
func First(matches []Match, f Flow) (int, bool) {
	for i := range matches {
		if matches[i].holds(f) {
			return i, true
		}
	}
	return 0, false
}

func (m *Match) holds(f Flow) bool {
	return holdsAny(m.Cgroup, f.Cgroup) &&
		inRanges(m.UID, f.UID) && inRanges(m.Proto, f.Proto) &&
		inPrefixes(m.Src, f.Src) && inPrefixes(m.Dst, f.Dst) &&
		inRanges(m.Sport, f.Sport) && inRanges(m.Dport, f.Dport) &&
		inRanges(m.IIF, f.IIF)
}

// onlyCgroup tells whether the line names no field but, perhaps, the cgroup.
func (m *Match) onlyCgroup() bool {
	return len(m.UID)+len(m.Proto)+len(m.Src)+len(m.Dst)+len(m.Sport)+len(m.Dport)+len(m.IIF) == 0
}

func inRanges(ranges []Range, v uint32) bool {
	for _, r := range ranges {
		if r.contains(v) {
			return true
		}
	}
	return len(ranges) == 0
}

func inPrefixes(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return len(prefixes) == 0
}
