// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"net/netip"
	"slices"
)

// A shadow is a match that can never win, and the first one that takes all of
// its traffic, as indexes into the list of all matches.
type shadow struct{ match, by int }

// findShadows returns the shadows among matches, of which earlier ones win.
func findShadows(matches []*Match) []shadow {
	index := newCoverIndex(matches)
	found := make([][]shadow, parts(len(matches)))
	inParts(len(matches), func(part, lo, hi int) {
		for i := lo; i < hi; i++ {
			if by := index.first(matches[i], i); by >= 0 {
				found[part] = append(found[part], shadow{i, by})
			}
		}
	})
	return slices.Concat(found...)
}

// covers reports whether e takes every packet that m takes. It may miss that
// several prefixes of e make up one of m.
func covers(e, m *Match) bool {
	v4, v6 := m.families()
	return coversCgroups(e, m) &&
		coversPrefixes(e.Dst, m.Dst, v4, v6) &&
		coversPrefixes(e.Src, m.Src, v4, v6) &&
		coversPorts(e.Dport, m.Dport) &&
		coversPorts(e.Sport, m.Sport) &&
		coversProtocols(e, m) &&
		coversUsers(e.UID, m.UID) &&
		coversNames(e.IIF, m.IIF)
}

var everyAddress = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// coversPrefixes compares only the families that m's packets can have.
func coversPrefixes(e, m []netip.Prefix, v4, v6 bool) bool {
	if len(e) == 0 {
		return true
	}
	if len(m) == 0 {
		m = everyAddress
	}
	for _, p := range m {
		if p.Addr().Is4() && !v4 || p.Addr().Is6() && !v6 {
			continue
		}
		if !slices.ContainsFunc(e, func(q netip.Prefix) bool { return q.Bits() <= p.Bits() && q.Contains(p.Addr()) }) {
			return false
		}
	}
	return true
}

func coversPorts(e, m []PortRange) bool {
	if len(e) == 0 {
		return true
	}
	for _, r := range m {
		if !inUnion(uint32(r.Lo), uint32(r.Hi), len(e), func(i int) (lo, hi uint32) { return uint32(e[i].Lo), uint32(e[i].Hi) }) {
			return false
		}
	}
	return len(m) > 0
}

func coversUsers(e, m []User) bool {
	if len(e) == 0 {
		return true
	}
	for _, u := range m {
		if u.Name != "" {
			if !slices.ContainsFunc(e, func(v User) bool { return v.Name == u.Name }) {
				return false
			}
			continue
		}
		if !inUnion(u.Lo, u.Hi, len(e), func(i int) (lo, hi uint32) {
			if e[i].Name != "" {
				return 1, 0 // who that is, only the host knows
			}
			return e[i].Lo, e[i].Hi
		}) {
			return false
		}
	}
	return len(m) > 0
}

// inUnion reports whether all of lo to hi lies in n ranges together.
func inUnion(lo, hi uint32, n int, at func(i int) (lo, hi uint32)) bool {
	for {
		reached := false
		for i := range n {
			if l, h := at(i); l <= lo && lo <= h {
				if h >= hi {
					return true
				}
				lo, reached = h+1, true
			}
		}
		if !reached {
			return false
		}
	}
}

// coversProtocols knows that ports without a protocol mean every protocol that
// has ports.
func coversProtocols(e, m *Match) bool {
	if len(e.Proto) == 0 {
		return true // where e names ports, m does too, and then has such a protocol
	}
	protocols := m.Proto
	switch {
	case len(protocols) > 0:
	case len(m.Sport)+len(m.Dport) > 0:
		protocols = portProtocols
	default:
		protocols = everyProtocol
	}
	for _, p := range protocols {
		if !slices.Contains(e.Proto, p) {
			return false
		}
	}
	return true
}

var everyProtocol = func() []uint8 {
	all := make([]uint8, 256)
	for p := range all {
		all[p] = uint8(p)
	}
	return all
}()

func coversNames(e, m []string) bool {
	if len(e) == 0 {
		return true
	}
	for _, name := range m {
		if !slices.Contains(e, name) {
			return false
		}
	}
	return len(m) > 0
}
