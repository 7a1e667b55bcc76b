// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"slices"
	"strings"
)

// Unclassed is the name of what is in no class; no class may have it.
const Unclassed = "unclassed"

// Move gives a part of the traffic, or all of a class, to another class. It
// comes before every match of the policy; of two moves the later wins.
type Move struct {
	Match    Match  // of cgroups, units, containers or users; zero when From is given
	From     string // the name of a class that is moved whole; "" for a match
	To       string // the name of a class, or Unclassed
	Existing Fate   // of open sockets, in place of the class's own; "": the class's
	Pos      Position
}

// Subject is what is moved, as `waymark move` takes it.
func (m Move) Subject() string {
	switch {
	case m.From != "":
		return "class:" + m.From
	case m.Match.Cgroup != nil:
		return list(m.Match.Cgroup, func(path string) string { return path })
	case m.Match.Unit != nil:
		return list(m.Match.Unit, Unit.String)
	case m.Match.Container != nil:
		return "container:" + list(m.Match.Container, Container.String)
	}
	return "uid:" + list(m.Match.UID, User.String)
}

var moveFields = []field[Move]{
	{key: "cgroup", example: "backup.slice", read: func(d *decoder, m *Move, n *node) { m.Match.Cgroup = each(d, n, (*decoder).cgroup) }},
	{key: "unit", example: "backup.service", read: func(d *decoder, m *Move, n *node) { d.units(&m.Match, n) }},
	{key: "container", example: "backup", read: func(d *decoder, m *Move, n *node) { d.containers(&m.Match, n) }},
	{key: "uid", example: "trader", read: func(d *decoder, m *Move, n *node) { m.Match.UID = each(d, n, (*decoder).user) }},
	{key: "class", example: "bulk", read: func(d *decoder, m *Move, n *node) { m.From = d.name(n) }},
	{key: "to", example: "bulk", required: true, read: func(d *decoder, m *Move, n *node) { m.To = d.name(n) }},
	{key: "existing", example: "keep", read: func(d *decoder, m *Move, n *node) { m.Existing = oneOf(d, n, FateKeep, FateMove, FateReset) }},
}

func (d *decoder) moves(p *Policy, n *node) {
	p.Moves = append(p.Moves, each(d, n, func(d *decoder, n *node) (Move, bool) {
		before, m := len(d.problems), Move{Pos: d.pos(n)}
		fields(d, n, "a move", moveFields, &m)
		if len(d.problems) > before {
			return m, false
		}
		subjects := 0
		for _, given := range []bool{m.Match.Cgroup != nil, m.Match.Unit != nil, m.Match.Container != nil, m.Match.UID != nil, m.From != ""} {
			if given {
				subjects++
			}
		}
		if subjects != 1 {
			d.problem(n, fmt.Sprintf("a move of %d things", subjects), "name one of cgroup, unit, container, uid and class: that is moved")
		}
		return m, subjects == 1
	})...)
}

// checkMoves checks that moves are of classes, and to classes, that exist.
func (d *decoder) checkMoves() {
	var names []string
	for _, c := range d.policy.Classes {
		names = append(names, c.Name)
		if c.Name == Unclassed {
			d.add(Problem{Pos: c.Pos, Text: fmt.Sprintf("no class may have the name %q", Unclassed), Hint: "it stands for what is in no class: take another name"})
		}
	}
	for _, m := range d.policy.Moves {
		for _, name := range []string{m.From, m.To} {
			if name == "" || name == m.To && name == Unclassed || slices.Contains(names, name) {
				continue
			}
			hint := "the classes are " + strings.Join(names, ", ")
			if near := closest(name, names); near != "" {
				hint = fmt.Sprintf("did you mean %q? %s", near, hint)
			}
			d.add(Problem{Pos: m.Pos, Text: fmt.Sprintf("no class has the name %q", name), Hint: hint})
		}
	}
}

// String returns the move as a policy says it, in one line: {cgroup:
// backup.slice, to: bulk, existing: move}.
func (m Move) String() string {
	s := "{class: " + Quote(m.From)
	if m.From == "" {
		s = strings.TrimSuffix(m.Match.String(), "}")
	}
	s += ", to: " + Quote(m.To)
	if m.Existing != "" {
		s += ", existing: " + string(m.Existing)
	}
	return s + "}"
}

// DropIn returns a policy file that says one move, and the comment above it.
func (m Move) DropIn(comment string) string {
	return "# " + comment + "\nmoves:\n  - " + m.String() + "\n"
}

// AllMatches calls f with every match of the policy, those of moves included.
func (p *Policy) AllMatches(f func(*Match)) {
	for i := range p.Moves {
		f(&p.Moves[i].Match)
	}
	for i := range p.Classes {
		for k := range p.Classes[i].Matches {
			f(&p.Classes[i].Matches[k])
		}
	}
}
