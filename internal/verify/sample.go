// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"math/rand/v2"
	"net/netip"

	"golang.org/x/sys/unix"

	"waymark/internal/match"
	"waymark/internal/plan"
)

// Sample is a flow that a line of a plan takes by itself.
type Sample struct {
	Line   int // index into the plan's lines
	Family plan.Family
	Flow   match.Flow
	Lost   *plan.Line // an earlier line of another class that takes it, and all others that were tried; nil: it wins
}

// mostLines is of about how many lines samples are made; of more, of every n-th.
const mostLines = 1000

// tries is how many flows of a line are tried until one wins.
const tries = 64

// What a flow is where its line says nothing. The addresses are such that only
// a default route leads to them (RFC 5737, RFC 3849).
const (
	anyPort = 47113
	anyUID  = 1<<31 - 7
)

var elsewhere = map[plan.Family]netip.Addr{
	plan.IPv4: netip.MustParseAddr("192.0.2.254"),
	plan.IPv6: netip.MustParseAddr("2001:db8:ffff::254"),
}

// Elsewhere is an address that only a default route leads to.
func Elsewhere(family plan.Family) netip.Addr { return elsewhere[family] }

// FlowsOf are flows that a match may take, made on this host, whichever
// destination they are then given.
func FlowsOf(m match.Match, family plan.Family) (flows []match.Flow) {
	m.Dst, m.Dport, m.Proto = nil, nil, nil
	for k := range tries {
		if f, possible := flowOf(m, family, k); possible {
			flows = append(flows, f)
		}
	}
	return flows
}

// Samples are a flow of each line in each family that it can have one in. A
// line of a plan with very many stands for those around it.
func Samples(p *plan.Plan) (all []Sample) {
	lines := Matches(p)
	step := max(1, len(lines)/mostLines)
	for n := 0; n < len(lines); n += step {
		for _, family := range plan.Families {
			if s, ok := sampleOf(p, lines, n, family); ok {
				all = append(all, s)
			}
		}
	}
	return all
}

// Matches are the plan's lines in numbers, in their order.
func Matches(p *plan.Plan) []match.Match {
	lines := make([]match.Match, len(p.Lines))
	for i := range lines {
		lines[i] = p.Lines[i].Match
	}
	return lines
}

// sampleOf is the first flow that the line wins, of those that are tried, or
// one that it loses.
func sampleOf(p *plan.Plan, lines []match.Match, n int, family plan.Family) (s Sample, ok bool) {
	s = Sample{Line: n, Family: family}
	for k := range tries {
		flow, possible := flowOf(lines[n], family, k)
		if !possible {
			return s, false
		}
		if _, holds := match.First(lines[n:n+1], flow); !holds {
			continue
		}
		winner, _ := match.First(lines[:n+1], flow)
		if p.Lines[winner].Class == p.Lines[n].Class {
			return Sample{Line: n, Family: family, Flow: flow}, true
		}
		if !ok {
			s.Flow, s.Lost, ok = flow, &p.Lines[winner], true
		}
	}
	return s, ok
}

// flowOf is try number k: the first of all values, the last, then others.
func flowOf(m match.Match, family plan.Family, k int) (f match.Flow, possible bool) {
	d := draw{k, rand.New(rand.NewPCG(uint64(k), uint64(family)))}
	f = match.Flow{UID: d.number(m.UID, anyUID), Proto: d.number(m.Proto, []uint32{unix.IPPROTO_UDP, unix.IPPROTO_TCP}[k%2]),
		Sport: d.number(m.Sport, 0), IIF: d.number(m.IIF, 0)}
	if wrongFamily(f.Proto, family) && len(m.Proto) == 1 {
		return f, false
	}
	if hasPorts(f.Proto) || m.Dport != nil {
		f.Dport = d.number(m.Dport, anyPort)
	}
	if len(m.Cgroup) > 0 {
		f.Cgroup = instance(m.Cgroup[k%len(m.Cgroup)])
	}
	var ok bool
	if f.Dst, ok = d.address(m.Dst, family, elsewhere[family]); !ok {
		return f, false
	}
	unbound := netip.IPv6Unspecified()
	if family == plan.IPv4 {
		unbound = netip.IPv4Unspecified()
	}
	f.Src, ok = d.address(m.Src, family, unbound)
	return f, ok
}

func wrongFamily(proto uint32, family plan.Family) bool {
	return proto == unix.IPPROTO_ICMP && family == plan.IPv6 || proto == unix.IPPROTO_ICMPV6 && family == plan.IPv4
}

// HasSocket tells whether a protocol has sockets that are connected, which the
// kernel also answers questions for a route with.
func HasSocket(proto uint32) bool {
	switch proto {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		return true
	}
	return false
}

func hasPorts(proto uint32) bool {
	switch proto {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_UDPLITE, unix.IPPROTO_SCTP, unix.IPPROTO_DCCP:
		return true
	}
	return false
}

// draw chooses values for one try.
type draw struct {
	try int
	*rand.Rand
}

func (d draw) number(ranges []match.Range, none uint32) uint32 {
	if len(ranges) == 0 {
		return none
	}
	switch d.try {
	case 0:
		return ranges[0].Lo
	case 1:
		return ranges[len(ranges)-1].Hi
	}
	r := ranges[d.IntN(len(ranges))]
	return r.Lo + uint32(d.Uint64N(uint64(r.Hi-r.Lo)+1))
}

func (d draw) address(prefixes []netip.Prefix, family plan.Family, none netip.Addr) (netip.Addr, bool) {
	if len(prefixes) == 0 {
		return none, true
	}
	var own []netip.Prefix
	for _, p := range prefixes {
		if plan.FamilyOf(p.Addr()) == family {
			own = append(own, p)
		}
	}
	if len(own) == 0 {
		return none, false
	}
	p := own[d.IntN(len(own))]
	if d.try == 0 {
		p = own[0]
	}
	if p.Bits() == 0 && d.try == 0 {
		return elsewhere[family], true
	}
	return d.within(p), true
}

// within is an address of a prefix: never its first, which names the network,
// where there is another.
func (d draw) within(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	host := p.Addr().BitLen() - p.Bits()
	for i := range bytes {
		free := min(8, max(0, host-8*(len(bytes)-1-i))) // low bits of this byte
		bytes[i] |= byte(d.Uint32()) & byte(1<<free-1)
	}
	if d.try == 0 {
		bytes = p.Addr().AsSlice()
		if host > 0 {
			bytes[len(bytes)-1] |= 1
		}
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a
}
