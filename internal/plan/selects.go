// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"
	"strings"
)

// selects tells whether a rule takes a packet. With selectors that only others
// write it may be that this cannot be judged from here: then it is not sure.
func (r Rule) selects(q Packet) (selects, sure bool) {
	words := strings.Fields(r.Other)
	not := len(words) > 0 && words[0] == "not"
	if not {
		words = words[1:]
	}
	selects, sure = r.selectsPlainly(q), true
	for pair := range slices.Chunk(words, 2) {
		is, known := q.is(pair)
		selects, sure = selects && (is || !known), sure && known
	}
	return selects != not, sure || !selects // what one selector leaves, the others do not take
}

// selectsPlainly judges by the selectors that Waymark writes, too.
func (r Rule) selectsPlainly(q Packet) bool {
	if r.OIF != "" && r.OIF != q.Interface {
		return false
	}
	if r.From.IsValid() && r.From.Bits() > 0 && !r.From.Contains(q.Src) {
		return false
	}
	return q.Mark&r.Mask == r.Mark&r.Mask
}

// is tells whether a selector of ip(8), a word and its value, takes a packet, if
// that is known.
func (q Packet) is(selector []string) (is, known bool) {
	if len(selector) < 2 {
		return false, false
	}
	switch word, value := selector[0], selector[1]; {
	case word == "iif" && !q.Forwarded:
		return value == "lo", true // of which what the host itself sends comes
	case word == "iif" && value == "lo":
		return false, true
	case word == "to" && q.Dst.IsValid():
		p, err := netip.ParsePrefix(value)
		return p.Contains(q.Dst), err == nil
	}
	return false, false
}

// selectsAllOf tells whether every packet that o selects is one that r does, of
// the host's own at least. Selectors that only others write make a rule narrower.
// Of what has a mark that "not" leaves to others, there may be a few.
func (r Rule) selectsAllOf(o Rule) bool {
	switch {
	case r.Family != o.Family || r.OIF != "" && r.OIF != o.OIF:
		return false
	case r.Other == "" || r.Other == "iif lo":
		return r.from(o) && r.Mask&^o.Mask == 0 && r.Mark&r.Mask == o.Mark&r.Mask
	case r.Other != "not" || r.OIF != "":
		return false
	}
	otherMark := (r.Mark^o.Mark)&r.Mask&o.Mask != 0 || r.Mask == 1<<32-1 && o.Mask == 0
	return otherMark || r.From.IsValid() && o.From.IsValid() && !r.From.Overlaps(o.From)
}

// from tells whether the sources of a rule are among this one's.
func (r Rule) from(o Rule) bool {
	return r.IsFromAll() || o.From.IsValid() && r.From.Bits() <= o.From.Bits() && r.From.Contains(o.From.Addr())
}
