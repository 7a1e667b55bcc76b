// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"math/bits"
	"strings"
)

const maxTable = 1 << 31

// validate checks what only the whole policy can show.
func (d *decoder) validate() {
	p := d.policy
	if len(p.Uplinks) == 0 && len(d.problems) == 0 {
		d.add(Problem{Pos: d.start(), Text: "the policy has no uplinks", Hint: "add uplinks: [{name: fiber, interface: eth0}]"})
	}
	unique(d, "uplink with the name", p.Uplinks, func(u *Uplink) (string, Position) { return u.Name, u.Pos })
	unique(d, "uplink with the interface", p.Uplinks, func(u *Uplink) (string, Position) { return u.Interface, u.Pos })
	unique(d, "class with the name", p.Classes, func(c *Class) (string, Position) { return c.Name, c.Pos })
	d.checkRoutes()
	d.checkMoves()
	d.checkMask()
	d.checkTables()
	if len(d.problems) == 0 {
		d.checkShadows() // a match that is wrong covers nobody knows what
	}
}

func (d *decoder) add(p Problem) {
	p.Source = d.policy.line(p.Pos)
	d.report(p)
}

// start returns the first place of the policy.
func (d *decoder) start() Position {
	if len(d.policy.sources) == 0 {
		return Position{}
	}
	return d.policy.sources[0].position(1, 1)
}

// unique checks that no two of list have the same name.
func unique[T any](d *decoder, what string, list []T, name func(*T) (string, Position)) {
	seen := make(map[string]Position, len(list))
	for i := range list {
		name, pos := name(&list[i])
		earlier, twice := seen[name]
		switch {
		case name == "": // already called wrong
		case twice:
			d.add(Problem{
				Pos: pos, Related: []Position{earlier},
				Text: fmt.Sprintf("a second %s %q", what, name),
				Hint: "change or delete one of the two",
			})
		default:
			seen[name] = pos
		}
	}
}

// checkRoutes checks that routes lead to uplinks that exist, each once.
func (d *decoder) checkRoutes() {
	var names []string
	exists := map[string]bool{}
	for _, u := range d.policy.Uplinks {
		if exists[u.Name] = true; u.Name != "" {
			names = append(names, u.Name)
		}
	}
	for _, c := range d.policy.Classes {
		seen := map[string]Position{}
		for _, hop := range c.Route {
			earlier, twice := seen[hop.Uplink]
			switch {
			case twice:
				d.add(Problem{
					Pos: hop.Pos, Related: []Position{earlier},
					Text: fmt.Sprintf("uplink %q is twice in the route", hop.Uplink),
					Hint: "delete one of the two",
				})
			case !exists[hop.Uplink]:
				d.add(Problem{Pos: hop.Pos, Text: fmt.Sprintf("no uplink has the name %q", hop.Uplink), Hint: uplinkHint(hop.Uplink, names)})
			}
			seen[hop.Uplink] = hop.Pos
		}
	}
}

func uplinkHint(name string, names []string) string {
	if len(names) == 0 {
		return "list it under uplinks"
	}
	hint := "the uplinks are " + strings.Join(names, ", ")
	if near := closest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	return hint
}

// checkMask checks that every class gets a number of its own, and that number 0
// is left for what has no class.
func (d *decoder) checkMask() {
	p := d.policy
	has := bits.OnesCount32(p.Mark.Mask)
	room := 1<<min(has, MaskBits) - 1
	if len(p.Classes) <= room {
		return
	}
	of, hint := fmt.Sprintf("%d bits", has), fmt.Sprintf("give mark.mask %d bits or more, from those that nobody else on the host uses", bits.Len(uint(len(p.Classes))))
	if room == 1<<MaskBits-1 {
		of, hint = fmt.Sprintf("%d bits that are used", MaskBits), "join classes that have the same route"
	}
	pos := p.Mark.Pos
	if pos == (Position{}) {
		pos = p.Classes[room].Pos
	}
	d.add(Problem{
		Pos:  pos,
		Text: fmt.Sprintf("%d classes do not fit: mask %#08x has %s, which is room for %d", len(p.Classes), p.Mark.Mask, of, room),
		Hint: hint,
	})
}

// checkTables checks that the tables of uplinks and balances are free for us.
func (d *decoder) checkTables() {
	p := d.policy
	balances := map[string]bool{}
	for i := range p.Classes {
		if c := &p.Classes[i]; c.weighted() {
			balances[c.routeText()] = true
		}
	}
	first, last := p.Tables.Base, p.Tables.Base+len(p.Uplinks)+len(balances)-1
	pos := p.Tables.Pos
	if pos == (Position{}) {
		pos = d.start()
	}
	switch {
	case first <= 255 && last >= 253:
		d.add(Problem{
			Pos:  pos,
			Text: fmt.Sprintf("tables %d to %d would be ours, but 253 to 255 are the kernel's default, main and local", first, last),
			Hint: fmt.Sprintf("write tables: {base: %d}", DefaultTablesBase),
		})
	case last > maxTable:
		d.add(Problem{
			Pos:  pos,
			Text: fmt.Sprintf("tables %d to %d would be ours, but the numbers end at %d", first, last, maxTable),
			Hint: fmt.Sprintf("write tables: {base: %d}", DefaultTablesBase),
		})
	}
}

// checkShadows checks that every match can win.
func (d *decoder) checkShadows() {
	count := 0
	for i := range d.policy.Classes {
		count += len(d.policy.Classes[i].Matches)
	}
	matches, class := make([]*Match, 0, count), make([]*Class, 0, count)
	for i := range d.policy.Classes {
		c := &d.policy.Classes[i]
		for j := range c.Matches {
			matches = append(matches, &c.Matches[j])
			class = append(class, c)
		}
	}
	for _, s := range findShadows(matches) {
		m, earlier := matches[s.match], matches[s.by]
		hint := "delete it"
		if class[s.match] != class[s.by] && !covers(m, earlier) {
			hint = fmt.Sprintf("delete it, or move class %s above class %s", class[s.match].Name, class[s.by].Name)
		}
		d.add(Problem{
			Pos: m.Pos, Related: []Position{earlier.Pos},
			Text: fmt.Sprintf("this match can never win: the earlier %s takes all of it", earlier),
			Hint: hint,
		})
	}
}
