// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"strings"
	"testing"
)

// TestMaskChangeNamesWhatItDrops changes the mask, and a class's route, under an
// open connection.
func TestMaskChangeNamesWhatItDrops(t *testing.T) {
	const closed = "'[b], otherwise: unreachable'"
	for _, c := range []struct {
		name    string
		mask    uint32
		carried uint32 // number of an open connection
		classes []string
		said    string // the classes that the note names; "": there is no note
	}{
		{"a closed class goes elsewhere", 0xff00, 1, []string{"one: '[a], otherwise: unreachable'", "two: [b]"}, "one"},
		{"its connections are not open", 0xff00, 0, []string{"one: '[a], otherwise: unreachable'", "two: [b]"}, ""},
		{"they are reset", 0xff00, 1, []string{"one: '[a], otherwise: unreachable, existing: reset'", "two: [b]"}, ""},
		{"under one mask", 0xff, 1, []string{"one: '[a], otherwise: unreachable'", "two: [b]"}, ""},
		{"an open one does", 0xff00, 1, []string{"one: [a]", "two: [b]"}, ""},
		{"it keeps the uplink", 0xff00, 1, []string{"one: '[a, b], otherwise: unreachable'", "two: [b]"}, ""},
		{"another one does", 0xff00, 1, []string{"one: " + closed, "two: '[a], otherwise: prohibit'"}, ""},
		{"it is gone", 0xff00, 1, []string{"two: '[a], otherwise: prohibit'", "three: '[a], otherwise: blackhole'"}, "two or three"},
	} {
		h := twoUplinks()
		before := h.make(t, policyText(0xff, "one: "+closed, "two: [b]"), Numbers{})
		h.InUse = map[uint32]bool{before.Mask.Spread(c.carried): true}
		p := h.make(t, policyText(c.mask, c.classes...), before.Numbers)
		notes := strings.Join(p.Notes, "\n")
		if said := strings.Contains(notes, "uplink b are dropped if they are of class "+c.said+","); said != (c.said != "") || strings.Contains(notes, "uplink a are dropped") {
			t.Errorf("%s: the notes are %q", c.name, p.Notes)
		}
	}
}
