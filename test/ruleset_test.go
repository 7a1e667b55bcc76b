// SPDX-License-Identifier: Apache-2.0

package test

import (
	"math/rand/v2"
	"net/netip"

	"waymark/internal/match"
)

// A shape is how the lines of a rule set look, after those of ClassBench
// (Taylor and Turner, 2005): access lists name servers and ports, firewalls
// ranges and networks, IP chains pairs of hosts; a policy names cgroups,
// users and interfaces as well.
type shape string

const (
	shapeACL    shape = "ACL"
	shapeFW     shape = "FW"
	shapeIPC    shape = "IPC"
	shapePolicy shape = "policy"
)

var shapes = []shape{shapeACL, shapeFW, shapeIPC, shapePolicy}

var cgroupPatterns = []match.Cgroup{{Path: "app.slice"}, {Path: "app.slice/a"}, {Path: "app.slice/a/b"}, {Path: "app.slice/[a-c]"},
	{Path: "*/x"}, {Path: "other.slice"}, {Path: "other.slice/x"}, {Unit: "app*.slice"}, {Unit: "x"}, {Path: "app.slice", Unit: "?"}}

var cgroupNames = []string{"app.slice", "app.slice/a", "app.slice/a/b", "app.slice/c", "other.slice", "other.slice/x"}

// A generator makes rule sets and the headers to try them with. Its prefixes
// nest, as they come from one tree of networks.
type generator struct {
	*rand.Rand
	six bool
}

func (g *generator) oneOf(percent int) bool { return g.IntN(100) < percent }

// address is one of a tree in which few values stand at each byte.
func (g *generator) address(width int) netip.Addr {
	var b [16]byte
	if g.six {
		b[0], b[1] = 0x20, 0x01
	} else {
		b[0] = byte(10 + g.IntN(3))
	}
	for i := 1 + int(b[0]>>5); i < len(b); i++ {
		if b[i] = byte(g.IntN(width)); g.oneOf(10) {
			b[i] = byte(g.Uint32())
		}
	}
	if g.six {
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(b[:4]))
}

func (g *generator) prefix(lengths ...int) []netip.Prefix {
	a := g.address(5)
	bits := lengths[g.IntN(len(lengths))]
	if g.six && bits > 0 {
		bits = min(128, 2*bits+g.IntN(65))
	}
	p, _ := a.Prefix(min(bits, a.BitLen()))
	return []netip.Prefix{p}
}

func exactly(v uint32) []match.Range { return []match.Range{{Lo: v, Hi: v}} }

var wellKnown = []uint32{22, 25, 53, 80, 123, 443, 873, 3306, 5060, 8080}

func (g *generator) ports() []match.Range {
	switch g.IntN(5) {
	case 0:
		return []match.Range{{Lo: 1024, Hi: 65535}}
	case 1:
		return []match.Range{{Lo: 1, Hi: 1023}}
	case 2:
		lo := 1 + g.Uint32N(65000)
		return []match.Range{{Lo: lo, Hi: lo + g.Uint32N(65536-lo)}, {Lo: 7, Hi: 9}}
	}
	return exactly(wellKnown[g.IntN(len(wellKnown))])
}

func (g *generator) line(s shape) (m match.Match) {
	g.six = g.oneOf(40)
	transport := exactly([]uint32{6, 17}[g.IntN(2)])
	switch s {
	case shapeACL:
		m = match.Match{Src: g.prefix(16, 24, 24, 32), Dst: g.prefix(24, 32, 32), Proto: transport, Dport: g.ports()}
	case shapeFW:
		m = match.Match{Dst: g.prefix(0, 8, 16, 24), Proto: transport, Sport: g.ports(), Dport: g.ports()}
		if g.oneOf(30) {
			m.Src, m.Sport = g.prefix(8, 16), nil
		}
	case shapeIPC:
		m = match.Match{Src: g.prefix(32, 32, 24), Dst: g.prefix(32, 32, 16), Proto: transport, Sport: g.ports(), Dport: g.ports()}
		if g.oneOf(40) {
			m.Sport, m.Dport, m.Proto = nil, nil, exactly([]uint32{1, 47, 58, 132}[g.IntN(4)])
		}
	case shapePolicy:
		m = g.policyLine(transport)
	}
	return m
}

func (g *generator) policyLine(transport []match.Range) (m match.Match) {
	if g.oneOf(40) {
		m.Cgroup = []match.Cgroup{cgroupPatterns[g.IntN(len(cgroupPatterns))], cgroupPatterns[g.IntN(len(cgroupPatterns))]}
	}
	if g.oneOf(20) {
		m.UID = []match.Range{{Lo: g.Uint32N(2), Hi: 1000 + g.Uint32N(100)}}
	}
	if g.oneOf(20) {
		m.IIF = exactly(1 + g.Uint32N(4))
	}
	if g.oneOf(60) {
		m.Dst = append(g.prefix(8, 16, 24, 32), g.prefix(24, 32)...)
	}
	if g.oneOf(20) {
		m.Src = g.prefix(16, 24, 32)
	}
	if g.oneOf(50) || m.Cgroup == nil && m.Dst == nil && m.IIF == nil {
		m.Proto, m.Dport = transport, g.ports()
	}
	return m
}

// header is a flow that is near a line, or near none.
func (g *generator) header(lines []match.Match, here string, iifs int) match.Flow {
	m := lines[g.IntN(len(lines))]
	g.six = g.oneOf(50)
	if p := append(m.Dst, m.Src...); p != nil {
		g.six = p[0].Addr().Is6()
	}
	return match.Flow{
		Cgroup: here, IIF: 1 + g.Uint32N(uint32(iifs)), Proto: g.number(m.Proto, 136),
		Src: g.within(m.Src), Dst: g.within(m.Dst), Sport: g.number(m.Sport, 65535), Dport: g.number(m.Dport, 65535),
	}
}

// number is one that ranges hold, or that is just beside them, or any.
func (g *generator) number(ranges []match.Range, most uint32) uint32 {
	if len(ranges) == 0 || g.oneOf(10) {
		return g.Uint32N(most + 1)
	}
	r := ranges[g.IntN(len(ranges))]
	v := []uint32{r.Lo, r.Hi, r.Lo + g.Uint32N(r.Hi-r.Lo+1), r.Lo - 1, r.Hi + 1}[g.IntN(5)]
	return min(v, most)
}

// within is an address of a prefix, or of the family, and seldom one beside it.
func (g *generator) within(prefixes []netip.Prefix) netip.Addr {
	a := g.address(5)
	if len(prefixes) == 0 || g.oneOf(10) {
		return a
	}
	p := prefixes[g.IntN(len(prefixes))]
	if p.Addr().Is6() != g.six {
		return a
	}
	b, mixed := a.AsSlice(), p.Addr().AsSlice()
	for i := range b {
		free := byte(0xff) >> min(8, max(0, p.Bits()-8*i))
		mixed[i] |= b[i] & free
	}
	if g.oneOf(8) && p.Bits() > 0 {
		mixed[(p.Bits()-1)/8] ^= 1 << (7 - (p.Bits()-1)%8)
	}
	out, _ := netip.AddrFromSlice(mixed)
	return out
}
