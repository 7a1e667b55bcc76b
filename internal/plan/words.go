// SPDX-License-Identifier: Apache-2.0

package plan

import "waymark/classes"

// Words are a line as people read it. They are put together when somebody
// asks: of a hundred thousand lines, an apply needs none.
type Words struct {
	note  string         // before the match
	match *classes.Match // as the policy says it; nil for a line of which the policy says nothing
}

// String is the line in words: "{uid: trader}", or with what else there is to
// say of it: "move --save: {uid: trader}".
func (w Words) String() string {
	if w.match == nil {
		return w.note
	}
	return w.note + w.match.String()
}

// MarshalText gives JSON the words.
func (w Words) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText takes the words from JSON.
func (w *Words) UnmarshalText(text []byte) error {
	*w = Words{note: string(text)}
	return nil
}

// Equal tells whether two lines read the same.
func (w Words) Equal(o Words) bool { return w.String() == o.String() }

// Added tells whether the line is no match of a class in the policy: a move, or
// a place of `waymark exec`. What it takes from one is meant to be taken.
func (w Words) Added() bool { return w.match == nil }
