// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"fmt"
	"strings"

	"waymark/classes"
)

// Starter is a policy to begin with on a host: its ways out, written down
// and explained, numbers that nobody there uses, and classes to choose from,
// all of them comments. It is valid as it is. An error says that the host
// has no way out.
func Starter(facts Facts, free Unused) (string, error) {
	ways, unnameable := WaysOut(facts), Unnameable(facts)
	if len(ways) == 0 && len(unnameable) > 0 {
		return "", fmt.Errorf("write a starter policy: the interface %s", strings.Join(unnameable, "; "))
	}
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
	b.WriteString(free.String())
	b.WriteString("uplinks:\n")
	for _, w := range ways {
		w.write(&b)
	}
	for _, u := range unnameable {
		fmt.Fprintf(&b, "  # the interface %s\n\n", u)
	}
	writeExamples(&b, ways)
	writeForeign(&b, facts)
	return b.String(), nil
}

func (w WayOut) write(b *strings.Builder) {
	fmt.Fprintf(b, "  - name: %s\n    interface: %s\n", classes.Quote(w.Name), classes.Quote(w.Device))
	switch {
	case w.Link.PointToPoint && len(w.Gateways) == 0:
		b.WriteString("    gateway: none    # a point-to-point link\n")
	case len(w.Gateways) == 0:
		b.WriteString("    gateway: none    # the host's own default routes have no next hop\n")
	default:
		fmt.Fprintf(b, "    gateway: auto    # of the host's own default routes, now %s\n", strings.Join(w.gateways(), ", "))
	}
	for _, a := range w.Link.Addresses {
		fmt.Fprintf(b, "    # address %s\n", a)
	}
	for _, r := range w.Routes {
		fmt.Fprintf(b, "    # ip %s route: %s\n", r.Family.Option(), r.Args())
	}
	b.WriteString("\n")
}

func writeExamples(b *strings.Builder, ways []WayOut) {
	first, last := ways[0].Name, ways[len(ways)-1].Name
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

// String is what a policy has to say of the numbers: those that are not the
// usual ones, a line each, and an empty line; "" for none.
func (free Unused) String() string {
	var b strings.Builder
	switch free.Mask {
	case classes.DefaultMask:
	case 0:
		b.WriteString("# Others use every bit of the fwmark: `waymark doctor` says who. A class needs one.\n")
	default:
		fmt.Fprintf(&b, "mark: {mask: %s}    # others use some of the usual %#x\n", free.Mask, classes.DefaultMask)
	}
	if free.Rules < classes.DefaultRulesBase {
		fmt.Fprintf(&b, "rules: {base: %d}    # others have rules that are to come behind\n", free.Rules)
	} else if free.Rules != classes.DefaultRulesBase {
		fmt.Fprintf(&b, "rules: {base: %d}    # others have rules before it\n", free.Rules)
	}
	if free.Tables != classes.DefaultTablesBase {
		fmt.Fprintf(&b, "tables: {base: %d}    # others have tables from %d on\n", free.Tables, classes.DefaultTablesBase)
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	return b.String()
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
		fmt.Fprintf(b, "# ip %s rule: %s    # %s\n", r.Family.Option(), r.Args(), Owner(r))
	}
}
