// SPDX-License-Identifier: Apache-2.0

package classes

import "testing"

func TestDifference(t *testing.T) {
	const uplinks = "uplinks: [{name: a, interface: eth0}, {name: b, interface: eth1}]\n"
	const before = uplinks + `classes:
  - {name: exec, route: [a], match: {uid: 1}}
  - {name: bulk, route: [b], match: {uid: 2}}
`
	for after, want := range map[string]string{
		before:                 "the same, in other words",
		before + "# a comment": "the same, in other words",
		uplinks + "classes:\n  - {name: exec, route: [a], match: {uid: 1}}\n":                                               "-class bulk",
		before + "  - {name: more, route: [b], match: {uid: 3}}\n":                                                          "+class more",
		uplinks + "classes: [{name: exec, route: [b, a], match: {uid: 1}}, {name: bulk, route: [b], match: {uid: 3}}]":      "route of exec changed, matches of bulk changed",
		uplinks + "classes: [{name: bulk, route: [b], match: {uid: 2}}, {name: exec, route: [a], match: {uid: 1}}]":         "order of classes changed",
		"mark: {mask: 0xff0000}\nrules: {base: 2000}\n" + before:                                                            "mark mask changed, rules base changed",
		uplinks + "classes: [{name: exec, route: [a], otherwise: prohibit, strict: true, existing: move, match: {uid: 1}}]": "otherwise of exec changed, existing of exec changed, strict of exec changed, -class bulk",
		"uplinks: [{name: b, interface: eth1, gateway: none}]\nclasses: [{name: x, route: [b], match: {uid: 1}}]":           "-uplink a, uplink b changed, +class x and 2 changes more",
		"uplinks: [{name: b, interface: eth1}, {name: a, interface: eth0}]\n" + before[len(uplinks):]:                       "order of uplinks changed",
	} {
		one, err := Parse("before", []byte(before))
		if err != nil {
			t.Fatal(err)
		}
		other, err := Parse("after", []byte(after))
		if err != nil {
			t.Fatalf("%v in %s", err, after)
		}
		if got := Difference(one.Outline(), other.Outline()); got != want {
			t.Errorf("%q, want %q, of\n%s", got, want, after)
		}
	}
}
