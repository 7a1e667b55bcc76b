// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"slices"
	"strings"
)

// Difference says in a line how a policy differs from the one before:
// "+class bulk, route of exec changed". It names a few things and counts
// the rest.
func Difference(before, after *Policy) string {
	var d difference
	d.changed("mark mask", before.Mark.Mask != after.Mark.Mask)
	d.changed("rules base", before.Rules.Base != after.Rules.Base)
	d.changed("tables base", before.Tables.Base != after.Tables.Base)
	d.changed("telemetry", !slices.Equal(before.Telemetry.Off, after.Telemetry.Off))
	d.changed("sockets of containers", !slices.Equal(before.Runtimes.Sockets, after.Runtimes.Sockets))
	uplinkName := func(u Uplink) string { return u.Name }
	compared(&d, "uplink", before.Uplinks, after.Uplinks, uplinkName, func(a, b Uplink) {
		d.changed("uplink "+a.Name, text(a.print) != text(b.print))
	})
	compared(&d, "class", before.Classes, after.Classes, func(c Class) string { return c.Name }, d.class)
	switch {
	case len(d) == 0:
		return "the same, in other words"
	case len(d) > 4:
		return fmt.Sprintf("%s and %d changes more", strings.Join(d[:3], ", "), len(d)-3)
	}
	return strings.Join(d, ", ")
}

type difference []string

func (d *difference) changed(what string, changed bool) {
	if changed {
		*d = append(*d, what+" changed")
	}
}

func (d *difference) class(a, b Class) {
	d.changed("route of "+a.Name, a.RouteText() != b.RouteText())
	d.changed("otherwise of "+a.Name, a.Otherwise != b.Otherwise)
	d.changed("existing of "+a.Name, a.Existing != b.Existing)
	d.changed("strict of "+a.Name, a.Strict != b.Strict)
	matches := func(c Class) []string {
		var all []string
		for _, m := range c.Matches {
			all = append(all, m.String())
		}
		return all
	}
	d.changed("matches of "+a.Name, !slices.Equal(matches(a), matches(b)))
}

// compared notes what was added, taken away or moved, and has both compare
// what is in both.
func compared[T any](d *difference, noun string, before, after []T, name func(T) string, both func(a, b T)) {
	was, is := map[string]bool{}, map[string]T{}
	for _, b := range before {
		was[name(b)] = true
	}
	var old, now []string
	for _, a := range after {
		is[name(a)] = a
		if was[name(a)] {
			now = append(now, name(a))
		} else {
			*d = append(*d, "+"+noun+" "+name(a))
		}
	}
	for _, b := range before {
		a, ok := is[name(b)]
		if !ok {
			*d = append(*d, "-"+noun+" "+name(b))
			continue
		}
		old = append(old, name(b))
		both(b, a)
	}
	if !slices.Equal(old, now) {
		*d = append(*d, "order of "+map[string]string{"uplink": "uplinks", "class": "classes"}[noun]+" changed")
	}
}

func text(print func(*strings.Builder)) string {
	var b strings.Builder
	print(&b)
	return b.String()
}
