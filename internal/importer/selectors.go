// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"waymark/classes"
	"waymark/internal/plan"
	"waymark/internal/registry"
)

// selected is the traffic that a rule of the RPDB selects beside by its mark.
func selected(r plan.Rule) (m classes.Match, err error) {
	if r.From.IsValid() {
		m.Src = []netip.Prefix{r.From}
	}
	if r.OIF != "" {
		return m, errors.New("what is bound to an interface leaves by it: Waymark never takes that away, and needs no rule for it")
	}
	if allBut(r) {
		return m, nil // Waymark leaves alone what carries that mark
	}
	for words := strings.Fields(r.Other); len(words) > 0; {
		if words[0] == "not" || len(words) == 1 {
			return m, fmt.Errorf("a match has no %q: write what it takes, in the order in which it counts", words[0])
		}
		if err := selector(&m, words[0], words[1]); err != nil {
			return m, err
		}
		words = words[2:]
	}
	return m, nil
}

// allBut tells whether a rule takes all but what carries a mark that Waymark
// leaves alone, as wg-quick's does: its tunnel's own packets.
func allBut(r plan.Rule) bool {
	return r.Other == "not" && r.Mask == registry.Whole && !r.From.IsValid() && r.OIF == "" && r.Mark != 0 &&
		registry.Owner(registry.Use{Mark: r.Mark, Mask: r.Mask}) != nil
}

// anybody is every user: what the host's own sockets send, and nothing that it
// forwards for others.
var anybody = []classes.User{{Hi: 1<<32 - 2}}

// selector adds one of ip(8)'s.
func selector(m *classes.Match, word, value string) (err error) {
	switch word {
	case "to":
		m.Dst, err = prefixes(value)
	case "iif":
		if m.IIF = []string{value}; value == "lo" {
			if m.IIF = nil; m.UID == nil {
				m.UID = anybody
			}
		}
	case "uidrange":
		m.UID, err = users(value)
	case "ipproto":
		m.Proto, err = protocols(value)
	case "sport":
		m.Sport, err = ports(value)
	case "dport":
		m.Dport, err = ports(value)
	default:
		err = fmt.Errorf("a match has no %q", word)
	}
	return err
}

// restrict adds the fields of a second match to those of a first; both have to
// hold. An error names a field that both have.
func restrict(m *classes.Match, by classes.Match) error {
	twice := ""
	both(&twice, "cgroup", &m.Cgroup, by.Cgroup)
	both(&twice, "uid", &m.UID, by.UID)
	both(&twice, "proto", &m.Proto, by.Proto)
	both(&twice, "src", &m.Src, by.Src)
	both(&twice, "dst", &m.Dst, by.Dst)
	both(&twice, "sport", &m.Sport, by.Sport)
	both(&twice, "dport", &m.Dport, by.Dport)
	both(&twice, "iif", &m.IIF, by.IIF)
	if twice != "" {
		return fmt.Errorf("two conditions on one %s: write down what both leave", twice)
	}
	return nil
}

func both[T any](twice *string, field string, values *[]T, more []T) {
	switch {
	case len(more) > 0 && len(*values) > 0:
		*twice = field
	case len(more) > 0:
		*values = more
	}
}

// prefixes are addresses, with or without their lengths, and ranges of them,
// between commas.
func prefixes(text string) (all []netip.Prefix, err error) {
	for one := range strings.SplitSeq(text, ",") {
		if first, last, isRange := strings.Cut(one, "-"); isRange {
			of, err := rangePrefixes(first, last)
			if err != nil {
				return nil, err
			}
			all = append(all, of...)
			continue
		}
		p, err := prefix(one)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// rangePrefixes are the fewest prefixes that make up a range of addresses.
func rangePrefixes(first, last string) (all []netip.Prefix, err error) {
	lo, err := netip.ParseAddr(first)
	hi, wrong := netip.ParseAddr(last)
	if err != nil || wrong != nil || lo.Is4() != hi.Is4() || hi.Less(lo) {
		return nil, fmt.Errorf("%q is no range of addresses", first+"-"+last)
	}
	for lo.IsValid() && !hi.Less(lo) {
		p := netip.PrefixFrom(lo, lo.BitLen())
		for p.Bits() > 0 {
			wider := netip.PrefixFrom(lo, p.Bits()-1)
			if wider.Masked().Addr() != lo || hi.Less(end(wider)) {
				break
			}
			p = wider
		}
		all = append(all, p)
		lo = end(p).Next()
	}
	return all, nil
}

// end is the last address of a prefix.
func end(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < p.Addr().BitLen(); bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b) // as long as it was
	return a
}

func prefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%q is no address", text)
	}
	return p.Masked(), nil
}

// users are a name, an id or a range of ids.
func users(text string) ([]classes.User, error) {
	lo, hi, err := span(text, 32)
	if err != nil {
		return []classes.User{{Name: text}}, nil
	}
	return []classes.User{{Lo: uint32(lo), Hi: uint32(hi)}}, nil
}

// ports are numbers and ranges between commas; a range has a dash, or a colon
// as iptables writes it.
func ports(text string) (all []classes.PortRange, err error) {
	for one := range strings.SplitSeq(text, ",") {
		lo, hi, err := span(strings.ReplaceAll(one, ":", "-"), 16)
		if err != nil {
			return nil, fmt.Errorf("%q is no port", one)
		}
		all = append(all, classes.PortRange{Lo: uint16(max(lo, 1)), Hi: uint16(hi)})
	}
	return all, nil
}

func span(text string, bits int) (lo, hi uint64, err error) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	if lo, err = strconv.ParseUint(first, 0, bits); err != nil {
		return 0, 0, err
	}
	hi, err = strconv.ParseUint(last, 0, bits)
	return lo, hi, err
}

// numbered are the protocols that others write by name.
var numbered = map[string]uint8{"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "icmpv6": 58, "ipv6-icmp": 58, "sctp": 132, "udplite": 136}

func protocols(text string) (all []uint8, err error) {
	for one := range strings.SplitSeq(text, ",") {
		n, known := numbered[one]
		if v, err := strconv.ParseUint(one, 0, 8); err == nil {
			n, known = uint8(v), true
		}
		if !known {
			return nil, fmt.Errorf("the protocol %q is not known: write its number", one)
		}
		all = append(all, n)
	}
	return all, nil
}
