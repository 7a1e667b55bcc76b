// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"waymark/classes"
	"waymark/internal/plan"
)

// class is traffic that goes the same way.
type class struct {
	name    string
	way     way
	entries []entry
}

// write makes the policy of what is carried, and leaves what it cannot say.
func (c *carrier) write() Imported {
	made := c.fit(nil, c.entries())
	left := c.left
	if left == nil {
		left = []Left{}
	}
	return Imported{Policy: c.text(made), Uplinks: len(c.ways), Classes: len(made), Left: left}
}

// fit adds entries to a policy, all that are right in it, and leaves the others:
// one that can never win, for instance.
func (c *carrier) fit(made []class, entries []entry) []class {
	with := added(made, entries)
	_, err := classes.Parse("policy.yaml", []byte(c.text(with)))
	switch half := len(entries) / 2; {
	case err == nil || half == 0 && len(entries) == 0:
		return with
	case half > 0:
		return c.fit(c.fit(made, entries[:half]), entries[half:])
	}
	c.refuse(entries[0], err)
	return made
}

// refuse leaves an entry that the policy language does not take. Of what two
// rules take in common nothing is missed that an earlier match takes.
func (c *carrier) refuse(e entry, err error) {
	reason, _, _ := strings.Cut(err.Error(), "\n")
	if k := strings.LastIndex(reason, ": "); k >= 0 && strings.Contains(reason, "policy.yaml:") {
		reason = strings.TrimLeft(strings.SplitN(reason, ": ", 2)[1], " ")
	}
	if !e.part || !strings.Contains(reason, "can never win") {
		c.leave(e.origin, "as "+e.match.String()+" it is refused: "+reason)
	}
}

// added are classes with more entries: neighbours that go the same way are in
// one class.
func added(made []class, entries []entry) []class {
	made = slices.Clone(made)
	if last := len(made) - 1; last >= 0 {
		made[last].entries = slices.Clone(made[last].entries)
	}
	for _, e := range entries {
		last := len(made) - 1
		if last < 0 || made[last].way != e.way {
			made = append(made, class{className(made, e.way), e.way, []entry{e}})
			continue
		}
		made[last].entries = append(made[last].entries, e)
	}
	return made
}

func className(made []class, w way) string {
	name := "by-" + w.name
	for n := 2; ; n++ {
		taken := false
		for _, c := range made {
			taken = taken || c.name == name
		}
		if !taken {
			return name
		}
		name = fmt.Sprintf("by-%s-%d", w.name, n)
	}
}

// text is the policy with its classes, and what is left so far as comments.
func (c *carrier) text(made []class) string {
	var b strings.Builder
	b.WriteString(`# Imported from what this host was told before. Each match says where it comes
# from; what could not be carried over stands at the end. One by addresses and
# ports alone takes what the host forwards as well as its own; with a user beside,
# as in {uid: 0-4294967294}, only what sockets of this host send.
#
#   waymark check                  is it right?
#   waymark plan                   what will the kernel hold, and why?
#   waymark apply --confirm 60s    try it; it goes back unless you say ` + "`waymark confirm`" + `
#
# Then take the old rules away where they come from: while they are there, those
# of a smaller priority are asked first.

`)
	b.WriteString(plan.Free(c.facts, 0).String())
	if by := c.facts.Sysctls[plan.HashPolicy]; by != "1" && by != "3" && slices.ContainsFunc(made, func(m class) bool { return m.way.name == "balance" }) {
		b.WriteString("balance: {by: addresses}    # as the kernel chooses among the hops of a route, where nobody had it choose otherwise\n\n")
	}
	b.WriteString("uplinks:\n")
	for _, u := range c.ways {
		fmt.Fprintf(&b, "  - name: %s\n    interface: %s\n    gateway: %s\n", classes.Quote(u.Name), classes.Quote(u.Device), u.gatewayText())
	}
	if len(made) > 0 {
		b.WriteString("\nclasses:                           # earlier wins\n")
	}
	for _, m := range made {
		m.write(&b)
	}
	if len(c.left) > 0 {
		b.WriteString("\n# Not carried over:\n")
	}
	for _, l := range c.left {
		fmt.Fprintf(&b, "# - %s\n#     %s\n", oneLine(l.What), oneLine(l.Why))
	}
	return b.String()
}

func (u uplink) gatewayText() string {
	switch {
	case len(u.gateway) > 0:
		return classes.Gateway{Addresses: u.gateway}.String()
	case len(u.Gateways) == 0 && u.Link.Index != 0: // what files know of no next hop, a lease may
		return "none"
	}
	return "auto"
}

func (m class) write(b *strings.Builder) {
	fmt.Fprintf(b, "  - name: %s\n    route: %s\n", m.name, m.way.route)
	if m.way.otherwise != "" {
		fmt.Fprintf(b, "    otherwise: %s\n", m.way.otherwise)
	}
	b.WriteString("    match:\n")
	for _, e := range m.entries {
		fmt.Fprintf(b, "      # %s\n      - %s\n", oneLine(e.origin), e.match)
	}
}

// oneLine is a text as a comment can hold it.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsGraphic(r) {
			return '?'
		}
		return r
	}, strings.Join(strings.Fields(text), " "))
}
