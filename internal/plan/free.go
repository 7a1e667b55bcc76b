// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"math/bits"
	"slices"

	"waymark/classes"
	"waymark/internal/registry"
)

// Unused are numbers that nobody else on a host uses.
type Unused struct {
	Mask   Mask // bits of the fwmark
	Rules  int  // the first of a thousand rule priorities, or of fewer where there are not so many
	Tables int  // the first of a hundred tables
}

// Free are unused numbers of a host: the policy language's defaults where
// those are. taken are bits of the fwmark that others than its rules use.
func Free(facts Facts, taken uint32) Unused {
	return Unused{freeMask(facts, taken), freePriorities(facts), freeTables(facts)}
}

// freeMask is the usual mask without what others look at, or, if they left
// too little of it, six bits that nobody does and the fewest known tools would.
func freeMask(facts Facts, taken uint32) Mask {
	free := ^taken
	for _, r := range facts.Rules {
		if r.Protocol != Protocol {
			free &^= registry.Tool{Mark: r.Mark, Mask: r.Mask}.Bits()
		}
	}
	const few = 3 // bits: seven classes
	if usual := free & classes.DefaultMask; bits.OnesCount32(usual) >= few {
		return Mask(usual)
	}
	var left []uint32
	for bit := uint32(1) << 31; bit != 0; bit >>= 1 {
		if free&bit != 0 {
			left = append(left, bit)
		}
	}
	slices.SortStableFunc(left, func(a, b uint32) int { return claims(a) - claims(b) })
	mask := Mask(0)
	for _, bit := range left[:min(6, len(left))] {
		mask |= Mask(bit)
	}
	return mask
}

// claims is how many known tools claim a bit.
func claims(bit uint32) (n int) {
	for _, t := range registry.Tools {
		if t.Bits()&bit != 0 {
			n++
		}
	}
	return n
}

// freePriorities is the first priority of a stretch that holds no foreign rule
// and is long enough for a hundred rungs, or for as many as there is room for; in
// front of those that look for bits of the mark, which a packet may have beside a
// class's, or at least of one that takes everything; and behind what is to come
// before a class, as main does, if there is room.
func freePriorities(facts Facts) int {
	for _, end := range []int{min(takesAll(facts), looksFirst(facts)), takesAll(facts)} {
		for _, begin := range []int{behindPartial(facts, end), 0} {
			if base := freeBetween(facts, begin, end); base != 0 {
				return base
			}
		}
	}
	return classes.DefaultRulesBase
}

// freeBetween is 0 where there is no room.
func freeBetween(facts Facts, begin, end int) int {
	for _, stretch := range []int{1000, 500, 200, 100, 50, 20} {
		for _, from := range []int{classes.DefaultRulesBase, 0} {
			for base := max(from, stretch); base+stretch <= end; base += stretch {
				if base >= begin && isFree(facts, base, stretch) {
					return base
				}
			}
		}
	}
	return 0
}

// looksFirst is the priority of the first rule of others that looks for some bits
// of the mark, or where main's is. What others match whole has no class.
func looksFirst(facts Facts) int {
	first := lastPriority
	for _, r := range facts.Rules {
		if r.Protocol != Protocol && r.Mask != 0 && r.Mask != 1<<32-1 && !marksItself(r) {
			first = min(first, int(r.Priority))
		}
	}
	return first
}

// isFree tells whether nobody has a rule there, and nobody finds what is to this
// host itself behind it.
func isFree(facts Facts, base, stretch int) bool {
	return !slices.ContainsFunc(facts.Rules, func(r Rule) bool {
		local := r.Table == TableLocal && int(r.Priority) >= base
		return local || r.Protocol != Protocol && int(r.Priority) >= base && int(r.Priority) < base+stretch
	})
}

// takesAll is the priority of the first rule of others that leaves nothing of what
// has a mark of ours, or where main's is.
func takesAll(facts Facts) int {
	first := lastPriority
	for _, r := range facts.Rules {
		marked := Rule{Family: r.Family, Mark: uint32(classes.DefaultMask), Mask: uint32(classes.DefaultMask)}
		if r.Protocol != Protocol && r.Protocol != kernel && r.selectsAllOf(marked) && leadsAll(facts, r) {
			first = min(first, int(r.Priority))
		}
	}
	return first
}

// freeTables is the same for tables.
func freeTables(facts Facts) int {
	const stretch = 100
	within := func(base int, protocol uint8, table uint32) bool {
		return protocol != Protocol && int(table) >= base && int(table) < base+stretch
	}
	for base := classes.DefaultTablesBase; ; base += stretch {
		if !slices.ContainsFunc(facts.Routes, func(r Route) bool { return within(base, r.Protocol, r.Table) }) &&
			!slices.ContainsFunc(facts.Rules, func(r Rule) bool { return within(base, r.Protocol, r.Table) }) {
			return base
		}
	}
}
