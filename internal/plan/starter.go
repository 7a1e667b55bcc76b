// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"waymark/classes"
)

// Starter is a policy to begin with on a host: its ways out, written down
// and explained, numbers that nobody there uses, and classes to choose from,
// all of them comments. It is valid as it is. An error says that the host
// has no way out.
func Starter(facts Facts) (string, error) {
	ways := waysOut(facts)
	if len(ways) == 0 {
		return "", errors.New("write a starter policy: no interface of this host has a default route: connect an uplink, or write the policy by hand")
	}
	var b strings.Builder
	b.WriteString(`# Waymark's policy for this host. Its classes are comments yet: until there is one,
# no traffic is marked, and none that is not bound to an uplink's address takes
# another way than before.
#
#   waymark check                  is it right?
#   waymark plan                   what will the kernel hold, and why?
#   waymark apply --confirm 60s    try it; it goes back unless you say ` + "`waymark confirm`" + `

`)
	writeNumbers(&b, facts)
	b.WriteString("uplinks:\n")
	for _, w := range ways {
		w.write(&b)
	}
	writeExamples(&b, ways)
	writeForeign(&b, facts)
	return b.String(), nil
}

func (w wayOut) write(b *strings.Builder) {
	fmt.Fprintf(b, "  - name: %s\n    interface: %s\n", w.name, w.device)
	switch {
	case w.link.PointToPoint && len(w.gateways) == 0:
		b.WriteString("    gateway: none    # a point-to-point link\n")
	case len(w.gateways) == 0:
		b.WriteString("    gateway: auto    # of the host's own default routes\n")
	default:
		fmt.Fprintf(b, "    gateway: auto    # of the host's own default routes, now %s\n", strings.Join(w.gateways, ", "))
	}
	for _, a := range w.link.Addresses {
		fmt.Fprintf(b, "    # address %s\n", a)
	}
	for _, r := range w.routes {
		fmt.Fprintf(b, "    # ip %s route: %s\n", r.Family.Option(), r.Args())
	}
	b.WriteString("\n")
}

func writeExamples(b *strings.Builder, ways []wayOut) {
	first, last := ways[0].name, ways[len(ways)-1].name
	route := "[" + last + "]"
	if last != first {
		route = "[" + last + ", " + first + "]    # the second answers when the first has no link"
	}
	fmt.Fprintf(b, `# classes:                           # earlier wins
#   - name: backup
#     route: %s
#     match:
#       - cgroup: system.slice/backup.service
#       - unit: restic@*.service
#   - name: exec
#     route: [%s]
#     otherwise: unreachable         # never by another way
#     match:
#       - uid: 1000
#       - {proto: tcp, dst: 203.0.113.0/24, dport: [443, 8000-8100]}
`, route, first)
}

// writeNumbers says the mask and the bases where the usual ones are taken.
func writeNumbers(b *strings.Builder, facts Facts) {
	before := b.Len()
	if mask := freeMask(facts); mask != classes.DefaultMask {
		fmt.Fprintf(b, "mark: {mask: %#x}    # the rules of others look at some of the usual %#x\n", uint32(mask), classes.DefaultMask)
	}
	if base := freePriorities(facts); base != classes.DefaultRulesBase {
		fmt.Fprintf(b, "rules: {base: %d}    # others have rules from %d on\n", base, classes.DefaultRulesBase)
	}
	if base := freeTables(facts); base != classes.DefaultTablesBase {
		fmt.Fprintf(b, "tables: {base: %d}    # others have tables from %d on\n", base, classes.DefaultTablesBase)
	}
	if b.Len() > before {
		b.WriteString("\n")
	}
}

// writeForeign lists the rules that others have made.
func writeForeign(b *strings.Builder, facts Facts) {
	said := false
	for _, r := range facts.Rules {
		if r.Protocol == Protocol || r.Priority == 0 || r.Priority > lastPriority && r.Action == Lookup {
			continue
		}
		if !said {
			b.WriteString("\n# Rules of others on this host; what they select before Waymark's stays theirs:\n")
			said = true
		}
		fmt.Fprintf(b, "# ip %s rule: %s    # %s\n", r.Family.Option(), r.Args(), owner(r.Protocol, byPriority(r.Priority)))
	}
}

// freeMask is the usual mask without what others look at, or, if they left
// too little of it, six bits that nobody does and the fewest known tools would.
func freeMask(facts Facts) Mask {
	free := ^uint32(0)
	for _, r := range facts.Rules {
		if r.Protocol != Protocol {
			free &^= claimed(r.Mark, r.Mask)
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

// claimed are the bits that somebody gives a meaning: those of his mask, or of
// a mark that he matches whole.
func claimed(mark, mask uint32) uint32 {
	if mask == 1<<32-1 {
		return mark
	}
	return mask
}

// claims is how many known tools claim a bit.
func claims(bit uint32) (n int) {
	for _, tool := range neighbours {
		if claimed(tool.mark, tool.mask)&bit != 0 {
			n++
		}
	}
	return n
}

// freePriorities is the first priority of a stretch that holds no foreign
// rule and is long enough for some hundred rungs.
func freePriorities(facts Facts) int {
	const stretch = 1000
	for base := classes.DefaultRulesBase; base+stretch < lastPriority; base += stretch {
		if !slices.ContainsFunc(facts.Rules, func(r Rule) bool {
			return r.Protocol != Protocol && int(r.Priority) >= base && int(r.Priority) < base+stretch
		}) {
			return base
		}
	}
	return classes.DefaultRulesBase
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
