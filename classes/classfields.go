// SPDX-License-Identifier: Apache-2.0

package classes

var classFields = []field[Class]{
	{key: "name", example: "bulk", required: true, read: func(d *decoder, c *Class, n *node) { c.Name = d.name(n) }},
	{key: "route", example: "[fiber, lte]", required: true, read: (*decoder).route},
	{key: "otherwise", example: "main", read: (*decoder).otherwise},
	{key: "existing", example: "keep", read: (*decoder).existing},
	{key: "strict", example: "true", read: func(d *decoder, c *Class, n *node) { c.Strict = d.truth(n) }},
	{key: "match", example: "[{cgroup: backup.slice}]", required: true, read: (*decoder).matches},
}

func (d *decoder) classes(p *Policy, n *node) {
	if n.kind == sequence && len(n.items) == 0 {
		return
	}
	p.Classes = append(p.Classes, each(d, n, func(d *decoder, n *node) (Class, bool) {
		c := Class{Pos: d.pos(n), Otherwise: OtherwiseMain, Existing: FateKeep}
		fields(d, n, "a class", classFields, &c)
		return c, true
	})...)
}

func (d *decoder) otherwise(c *Class, n *node) {
	c.Otherwise = oneOf(d, n, OtherwiseMain, OtherwiseUnreachable, OtherwiseProhibit, OtherwiseBlackhole)
}

func (d *decoder) existing(c *Class, n *node) {
	c.Existing = oneOf(d, n, FateKeep, FateMove, FateReset)
}

// route reads a list of uplinks, or a mapping of uplinks to weights.
func (d *decoder) route(c *Class, n *node) {
	c.RoutePos = d.pos(n)
	if (n.kind == sequence || n.kind == mapping) && len(n.items) == 0 {
		d.problem(n, "an empty route", "name at least one uplink; to drop the class's traffic, add otherwise: blackhole")
		return
	}
	if n.kind != mapping {
		c.Route = each(d, n, func(d *decoder, n *node) (Hop, bool) {
			name, ok := d.scalar(n, "the name of an uplink")
			return Hop{Uplink: name, Pos: d.pos(n)}, ok
		})
		return
	}
	for i := 0; i < len(n.items); i += 2 {
		key, value := &n.items[i], &n.items[i+1]
		if name, ok := d.scalar(key, "the name of an uplink"); ok {
			weight := d.number(value, "a weight", 1, 255)
			c.Route = append(c.Route, Hop{Uplink: name, Weight: int(weight), Pos: d.pos(key)})
		}
	}
}

// matches reads a class's matches. A match that is wrong is left out: what it
// covers is not known.
func (d *decoder) matches(c *Class, n *node) {
	if n.kind == sequence && len(n.items) == 0 {
		d.problem(n, "a class without a match: nobody can reach it", "add a match such as {cgroup: backup.slice}, or delete the class")
		return
	}
	c.Matches = each(d, n, func(d *decoder, n *node) (Match, bool) {
		before := len(d.problems)
		m := &d.match
		*m = Match{Pos: d.pos(n)}
		if n.kind == mapping && len(n.items) == 0 {
			d.problem(n, "an empty match would take everything", "if that is meant, write {dst: [0.0.0.0/0, '::/0']}")
		} else if fields(d, n, "a match", matchFields, m); len(d.problems) == before {
			d.checkMatch(n, m)
		}
		return *m, len(d.problems) == before
	})
}
