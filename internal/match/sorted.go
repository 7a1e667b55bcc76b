// SPDX-License-Identifier: Apache-2.0

package match

import "slices"

// A long list is sorted by its values' digits, from the last to the first:
// that takes time in proportion to it, whatever its order is.
const (
	digitBits  = 11
	digits     = 1 << digitBits
	longEvents = digits
)

// sorted returns events by their values. It may use up the list it is given.
func sorted(events []event) []event {
	if len(events) < longEvents {
		slices.Sort(events)
		return events
	}
	spare := make([]event, len(events))
	for shift := 32; shift < 64; shift += digitBits {
		var next [digits]int // the place of the next event with a digit
		for _, e := range events {
			next[e>>shift&(digits-1)]++
		}
		if next[events[0]>>shift&(digits-1)] == len(events) {
			continue // it is the same in all
		}
		place := 0
		for digit, count := range next {
			next[digit], place = place, place+count
		}
		for _, e := range events {
			at := &next[e>>shift&(digits-1)]
			spare[*at] = e
			*at++
		}
		events, spare = spare, events
	}
	return events
}
