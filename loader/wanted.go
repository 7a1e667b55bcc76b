// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"sync"
	"time"

	"waymark/classes"
)

// wanted is what a change brings the kernel to.
type wanted struct {
	policy *classes.Policy
	trial  time.Duration     // it goes back by itself after that; 0: it stays
	back   int               // the number of the state that it returns to; 0: it returns to none
	users  map[string]uint32 // uids that users had when the policy was in force; nil: it was not
	why    string            // before the change's line, for one that nobody asked for
	agrees func(*survey) error
	edit   func([]Override) []Override // of the overrides that there are; nil: they stay
	fate   classes.Fate                // of open sockets, in place of the classes' own; "": theirs

	lapsed bool // that moves cannot be forgotten is no error: their end is written beside them, or nobody is there to see to that

	resumes bool // what was tried before it is still not confirmed

	looks   bool // nothing is changed
	inForce bool // nor is the policy another than the one that is applied

	withdrawn map[string]string // plan.Facts.Withdrawn; nil: it stays
	locked    bool              // the lock is held
	asked     bool              // by somebody who may have given up before the first change

	text    *policyText            // of the policy; nil unless write was called
	outline func() classes.Outline // of the policy
}

// withdrawals are the uplinks that nothing is sent by.
func (w wanted) withdrawals(state *State) map[string]string {
	if w.withdrawn == nil && state != nil {
		return state.Withdrawn
	}
	return w.withdrawn
}

// write has the policy written into a state. What the state says of it takes,
// with many matches, as long as all that comes before: begin begins to make it.
func (want *wanted) write() {
	want.text, want.outline = textOf(want.policy.Files()), sync.OnceValue(want.policy.Outline)
}

// begin makes, in the meantime, what write has announced, with the help of the
// state before; nil for none.
func (want wanted) begin(before *State) {
	if before != nil {
		want.text.start(before.text)
	} else {
		want.text.start(nil)
	}
	go want.outline()
}

// repeats tells whether what is wanted is the policy in force, to the letter:
// most likely nothing is to be changed.
func (want wanted) repeats(state *State) bool {
	if state == nil {
		return false
	}
	mine, err := want.text.digest()
	theirs, otherErr := state.digest()
	return errors.Join(err, otherErr) == nil && mine == theirs
}
