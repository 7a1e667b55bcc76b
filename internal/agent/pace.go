// SPDX-License-Identifier: Apache-2.0

package agent

import "time"

const (
	patience = second / 2             // no look waits longer for the one before it
	share    = 10                     // looks take at most this part of one CPU's time, as far as patience lets them, those that can wait in any case;
	storm    = 80                     // this one when there is no end of them, as when a link flaps:
	hurry    = 2                      // so many times as long as a look took, one in a hurry waits for it, too
	burst    = 300 * time.Millisecond // once they have taken so much more
)

// pace is that of whole looks. The zero value has seen none.
type pace struct {
	next time.Time // no look before
	soon time.Time // no look before, of what is in a hurry
	late time.Time // no look before, of what can wait
	last time.Time
	owed time.Duration // of CPU time, beyond what a storm may take, as far as it is remembered
}

// looked takes up a look that ended at a moment, and what it took of CPU time.
func (p *pace) looked(at time.Time, used time.Duration) {
	p.owed = min(2*burst, max(0, p.owed-at.Sub(p.last)/storm)+used)
	p.last = at
	part := time.Duration(share)
	if p.owed > burst {
		part = storm
	}
	p.next = at.Add(min(patience, part*used))
	p.soon = at.Add(min(patience, hurry*used))
	p.late = at.Add(max(p.next.Sub(at), min(whole, share*used)))
}
