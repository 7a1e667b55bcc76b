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
func Difference(before, after Outline) string {
	var d difference
	d.changed("mark mask", before.Mask != after.Mask)
	d.changed("rules base", before.Rules != after.Rules)
	d.changed("tables base", before.Tables != after.Tables)
	d.changed("balance", before.Balance != after.Balance)
	d.changed("telemetry", !slices.Equal(before.Telemetry, after.Telemetry))
	d.changed("sockets of containers", !slices.Equal(before.Sockets, after.Sockets))
	uplinkName := func(u UplinkOutline) string { return u.Name }
	compared(&d, "uplink", before.Uplinks, after.Uplinks, uplinkName, func(a, b UplinkOutline) {
		d.changed("uplink "+a.Name, a.Text != b.Text)
	})
	compared(&d, "class", before.Classes, after.Classes, func(c ClassOutline) string { return c.Name }, d.class)
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

func (d *difference) class(a, b ClassOutline) {
	d.changed("route of "+a.Name, a.Route != b.Route)
	d.changed("otherwise of "+a.Name, a.Otherwise != b.Otherwise)
	d.changed("existing of "+a.Name, a.Existing != b.Existing)
	d.changed("strict of "+a.Name, a.Strict != b.Strict)
	d.changed("matches of "+a.Name, a.Matches != b.Matches)
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
