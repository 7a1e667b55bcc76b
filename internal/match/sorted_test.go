// SPDX-License-Identifier: Apache-2.0

package match

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSorted sorts lists of both lengths, with values that differ in all
// digits, in few, and in none: lines of one value stay in their order.
func TestSorted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, longEvents - 1, longEvents, 5 * longEvents} {
		for _, mask := range []uint32{0, 1, 0xffff, 0xffff0000, 0x80000001, 0xffffffff} {
			events := make([]event, n)
			for line := range events {
				events[line] = newEvent(r.Uint32()&mask, line)
			}
			want := slices.Clone(events)
			slices.Sort(want)
			if got := sorted(events); !slices.Equal(got, want) {
				t.Errorf("%d values of %#x are not in order", n, mask)
			}
		}
	}
}
