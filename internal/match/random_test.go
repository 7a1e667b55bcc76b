// SPDX-License-Identifier: Apache-2.0

package match

import (
	"math/rand/v2"
	"net/netip"
	"path"
	"strings"
)

// The values below come from small pools, so that lines overlap and flows
// meet the edges of ranges.

func randomMatch(r *rand.Rand) Match {
	var m Match
	if r.IntN(3) == 0 {
		m.Cgroup = somePatterns(r)
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
	path := randomName(r)
	for range r.IntN(4) {
		path += "/" + randomName(r)
	}
	return path
}

func randomName(r *rand.Rand) string {
	names := []string{"a.slice", "a-b.slice", "_a.slice", "db-1.service", "db-12.service", "_db-1.service", "__x.service", "s 1", "ab", "a"}
	return names[r.IntN(len(names))]
}

// commonPatterns are few: any number of random ones has too many combinations.
var commonPatterns = []Cgroup{
	{Path: "a.slice"}, {Path: "a.slice/db-1.service"}, {Path: "a.slice/db-*.service"}, {Path: "*/s 1"}, {Path: "a*/*"},
	{Path: "a?b.slice/a"}, {Unit: "db-1.service"}, {Unit: "db-*.service"}, {Unit: "_x.service"}, {Path: "a/ab", Unit: "*.slice"}, {Path: "ab/ab/ab"},
}

func somePatterns(r *rand.Rand) []Cgroup {
	var out []Cgroup
	for range 1 + r.IntN(3) {
		out = append(out, commonPatterns[r.IntN(len(commonPatterns))])
	}
	return out
}

func randomPatterns(r *rand.Rand) []Cgroup {
	var out []Cgroup
	for range 1 + r.IntN(2) {
		var c Cgroup
		for range r.IntN(4) {
			c.Path = path.Join(c.Path, randomPattern(r))
		}
		if c.Path == "" || r.IntN(3) == 0 {
			c.Unit = randomPattern(r)
		}
		out = append(out, c)
	}
	return out
}

// randomPattern is a name, with parts of it made patterns.
func randomPattern(r *rand.Rand) string {
	name, out := randomName(r), ""
	for i := range len(name) {
		switch r.IntN(14) {
		case 0:
			out += "?"
		case 1:
			if !strings.HasSuffix(out, "*") {
				out += "*"
			}
		case 2:
			out += "[^b-z]"
		case 3:
			out += "[0-9a" + name[i:i+1] + "]"
		default:
			out += name[i : i+1]
		}
	}
	return strings.ReplaceAll(out, "-a", "a")
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
