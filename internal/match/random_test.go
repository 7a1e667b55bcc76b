// SPDX-License-Identifier: Apache-2.0

package match

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
)

// The values below come from small pools, so that lines overlap and flows
// meet the edges of ranges.

func randomMatch(r *rand.Rand) Match {
	var m Match
	if r.IntN(3) == 0 {
		m.Cgroup = randomCgroup(r)
	}
	if r.IntN(4) == 0 {
		m.UID = randomRanges(r, 3000)
	}
	if r.IntN(3) == 0 {
		m.Proto = []Range{{6, 6}, {17, 17}}[:1+r.IntN(2)]
	}
	if r.IntN(4) == 0 {
		m.Src = randomPrefixes(r)
	}
	if r.IntN(2) == 0 {
		m.Dst = randomPrefixes(r)
	}
	if r.IntN(6) == 0 {
		m.Sport = randomRanges(r, 65535)
	}
	if r.IntN(3) == 0 {
		m.Dport = randomRanges(r, 65535)
	}
	if r.IntN(8) == 0 {
		m.IIF = randomRanges(r, 6)
	}
	return m
}

func randomFlow(r *rand.Rand) Flow {
	f := Flow{
		UID: randomEdge(r, 3000), Proto: []uint32{1, 6, 17}[r.IntN(3)],
		Sport: randomEdge(r, 65535), Dport: randomEdge(r, 65535), IIF: uint32(r.IntN(7)),
	}
	if r.IntN(2) == 0 {
		f.Cgroup = randomCgroup(r)
	}
	if r.IntN(8) == 0 {
		return f
	}
	f.Src, f.Dst = randomAddr(r, true), randomAddr(r, true)
	if r.IntN(2) == 0 {
		f.Src, f.Dst = randomAddr(r, false), randomAddr(r, false)
	}
	return f
}

func randomCgroup(r *rand.Rand) string {
	path := fmt.Sprintf("g%d", r.IntN(6))
	for range r.IntN(4) {
		path += fmt.Sprintf("/s %d", r.IntN(4))
	}
	return path
}

// randomEdge favours the values at which randomRanges begins and ends.
func randomEdge(r *rand.Rand, limit uint32) uint32 {
	if r.IntN(3) == 0 {
		return r.Uint32N(limit + 1)
	}
	v := limit / 16 * r.Uint32N(17)
	return min(limit, v+r.Uint32N(2))
}

func randomRanges(r *rand.Rand, limit uint32) []Range {
	var out []Range
	for range 1 + r.IntN(3) {
		lo := max(1, randomEdge(r, limit))
		out = append(out, Range{lo, max(lo, randomEdge(r, limit))})
	}
	return out
}

func randomAddr(r *rand.Rand, six bool) netip.Addr {
	var b [16]byte
	for i := range b {
		b[i] = []byte{0, 0, 1, 2, 0x80, 0xff, 0xff}[r.IntN(7)]
	}
	if six {
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(b[:4]))
}

func randomPrefixes(r *rand.Rand) []netip.Prefix {
	var out []netip.Prefix
	for range 1 + r.IntN(3) {
		a := randomAddr(r, r.IntN(2) == 0)
		bits := r.IntN(a.BitLen() + 1)
		if r.IntN(3) == 0 {
			bits = a.BitLen()
		}
		p, _ := a.Prefix(bits)
		out = append(out, p)
	}
	return out
}
