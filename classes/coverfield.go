// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"net/netip"
	"slices"
)

// A coverField is a field of a match as the index sees it.
type coverField int

const (
	coverCgroup coverField = iota
	coverUID
	coverProto
	coverSrc
	coverDst
	coverSport
	coverDport
	coverIIF
	coverFields
)

// count returns how many values m names; 0 means all of them.
func (f coverField) count(m *Match) int {
	switch f {
	case coverCgroup:
		return len(m.Cgroup) + len(m.Unit) + len(m.Container)
	case coverUID:
		return len(m.UID)
	case coverProto:
		return len(m.Proto)
	case coverSrc:
		return len(m.Src)
	case coverDst:
		return len(m.Dst)
	case coverSport:
		return len(m.Sport)
	case coverDport:
		return len(m.Dport)
	}
	return len(m.IIF)
}

// key returns value i of those that m names.
func (f coverField) key(m *Match, i int) coverKey {
	switch f {
	case coverCgroup:
		return coverKey{text: m.cgroupKey(i)}
	case coverUID:
		if u := m.UID[i]; u.Name == "" {
			return rangeKey(u.Lo, u.Hi)
		}
		return coverKey{text: m.UID[i].Name}
	case coverProto:
		return rangeKey(uint32(m.Proto[i]), uint32(m.Proto[i]))
	case coverSrc:
		return prefixKey(m.Src[i])
	case coverDst:
		return prefixKey(m.Dst[i])
	case coverSport:
		return rangeKey(uint32(m.Sport[i].Lo), uint32(m.Sport[i].Hi))
	case coverDport:
		return rangeKey(uint32(m.Dport[i].Lo), uint32(m.Dport[i].Hi))
	}
	return coverKey{text: m.IIF[i]}
}

func (f coverField) each(m *Match, file func(coverKey)) {
	for i := range f.count(m) {
		k := f.key(m, i)
		file(k.cut(k.bits))
	}
}

// eachAbove calls look with every key, of the lengths in use, under which a
// match is filed that may cover m.
func (f coverField) eachAbove(m *Match, lengths []uint8, look func(coverKey)) {
	k, ok := f.firstKey(m)
	if !ok {
		return
	}
	if f == coverCgroup {
		eachKeyAbove(k.text, func(text string) { look(coverKey{text: text}) })
		return
	}
	for _, n := range lengths {
		if n <= k.bits {
			look(k.cut(n))
		}
	}
}

// firstKey returns the first part of what m takes of a field. A field that m
// does not name is all of it, which only lists of addresses and protocols can
// cover.
func (f coverField) firstKey(m *Match) (coverKey, bool) {
	v4, v6 := m.families()
	switch {
	case f == coverSrc:
		return prefixKey(firstOf(m.Src, v4, v6)), true
	case f == coverDst:
		return prefixKey(firstOf(m.Dst, v4, v6)), true
	case f.count(m) > 0:
		k := f.key(m, 0)
		if k.text == "" {
			k.bits = numberBits // of a range, its lowest number
		}
		return k, true
	case f == coverProto && len(m.Sport)+len(m.Dport) > 0:
		return rangeKey(uint32(portProtocols[0]), uint32(portProtocols[0])), true
	case f == coverProto:
		return rangeKey(0, 0), true
	}
	return coverKey{}, false
}

func firstOf(ps []netip.Prefix, v4, v6 bool) netip.Prefix {
	if len(ps) == 0 {
		ps = everyAddress
	}
	return ps[slices.IndexFunc(ps, func(p netip.Prefix) bool { return p.Addr().Is4() && v4 || p.Addr().Is6() && v6 })]
}

// prefixKey puts IPv4 and IPv6 apart by text.
func prefixKey(p netip.Prefix) coverKey {
	if a := p.Addr(); a.Is4() {
		b := a.As4()
		return coverKey{text: "4", hi: uint64(binary.BigEndian.Uint32(b[:])) << 32, bits: uint8(p.Bits())}
	}
	b := p.Addr().As16()
	return coverKey{text: "6", hi: binary.BigEndian.Uint64(b[:8]), lo: binary.BigEndian.Uint64(b[8:]), bits: uint8(p.Bits())}
}

const numberBits = 32

// rangeKey returns lo, and how many first bits all numbers of the range share.
func rangeKey(lo, hi uint32) coverKey {
	return coverKey{hi: uint64(lo) << 32, bits: uint8(bits.LeadingZeros32(lo ^ hi))}
}

// cut returns the first n bits of k.
func (k coverKey) cut(n uint8) coverKey {
	if n < 64 {
		k.hi, k.lo = k.hi&^(1<<(64-n)-1), 0
	} else {
		k.lo &^= 1<<(128-n) - 1
	}
	k.bits = n
	return k
}

// A coverKey is a value of some field: a name, or the first bits of a number.
type coverKey struct {
	text   string
	hi, lo uint64
	bits   uint8
}

// keySeed is of the hashes of names.
var keySeed = maphash.MakeSeed()

// hash is the same for equal keys, in one process. Its upper bits are spread
// best.
func (k coverKey) hash() uint32 {
	h := k.hi ^ bits.RotateLeft64(k.lo, 29) ^ uint64(k.bits)<<17
	if len(k.text) == 1 {
		h ^= uint64(k.text[0]) << 1
	} else if k.text != "" {
		h ^= maphash.String(keySeed, k.text)
	}
	return uint32(h * 0x9e3779b97f4a7c15 >> 32) // numbers that lie side by side come apart
}
