// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"waymark/internal/match"
)

// TestMoreMatchesThanATableHolds has one match too many, at the end of the
// second class.
func TestMoreMatchesThanATableHolds(t *testing.T) {
	policy := parse(t, policyText(0x7, "one: [a]", "two: [b]"))
	first, second := &policy.Classes[0], &policy.Classes[1]
	first.Matches = slices.Repeat(first.Matches[:1], match.Most-10)
	second.Matches = slices.Repeat(second.Matches[:1], 11)
	last := &second.Matches[10]
	last.Pos.Line = 99
	p, err := Make(policy, twoUplinks().Facts, Numbers{}, Options{})
	want := fmt.Sprintf("policy.yaml:99:%d: 216001 matches: there is room for 216000\n", last.Pos.Column)
	if p != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("one match too many: %v, want %s", err, want)
	}
	second.Matches = second.Matches[:10]
	if problems := (&maker{policy: policy}).limits(); problems != nil {
		t.Errorf("as many matches as there is room for: %v", problems)
	}
}

// TestLinesOfCountersComeBack has had more classes than there are lines of
// counters: a new one gets the line of one that is gone, and none that is
// there loses its own.
func TestLinesOfCountersComeBack(t *testing.T) {
	before := Numbers{Slots: map[string]uint32{"kept": 7}}
	for s := uint32(1); s < MostSlots; s++ {
		if s != 7 {
			before.Slots[fmt.Sprint("gone ", s)] = s
		}
	}
	p := twoUplinks().make(t, policyText(0xff, "kept: [a]", "new: [b]", "newer: [b]"), before)
	for i, want := range []uint32{7, 1, 2} {
		if c := p.Classes[i]; c.Slot != want || p.Numbers.Slots[c.Name] != want {
			t.Errorf("class %s has line %d (remembered: %d), want %d", c.Name, c.Slot, p.Numbers.Slots[c.Name], want)
		}
	}
	if n := len(p.Numbers.Slots); n != MostSlots-1 {
		t.Errorf("%d lines are given away, want %d", n, MostSlots-1)
	}
}
