// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strings"

	"waymark/classes"
)

// Way is a class's route without the class: classes with equal ways share
// their blocks of numbers and the rules for them.
type Way struct {
	Uplinks   []string          `json:"uplinks"`           // names, in order
	Weights   []int             `json:"weights,omitempty"` // of a balance, one for each uplink
	Otherwise classes.Otherwise `json:"otherwise"`
	Strict    bool              `json:"strict,omitempty"`
}

// wayOf is a class's way.
func wayOf(c classes.Class) Way {
	w := Way{Otherwise: c.Otherwise, Strict: c.Strict}
	for _, h := range c.Route {
		w.Uplinks = append(w.Uplinks, h.Uplink)
		if h.Weight > 0 {
			w.Weights = append(w.Weights, h.Weight)
		}
	}
	return w
}

// String is the way as a policy would write it.
func (w Way) String() string {
	s := "[" + strings.Join(w.Uplinks, ", ") + "]"
	if w.Weights != nil {
		s = w.balance()
	}
	if w.Otherwise != classes.OtherwiseMain {
		s += " otherwise " + string(w.Otherwise)
	}
	if w.Strict {
		s += " strict"
	}
	return s
}

// balance is the name of a weighted way's table.
func (w Way) balance() string {
	parts := make([]string, len(w.Uplinks))
	for i, name := range w.Uplinks {
		parts[i] = fmt.Sprintf("%s: %d", name, w.Weights[i])
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// tables are the names, in Numbers.Tables, that the way looks in.
func (w Way) tables() []string {
	if w.Weights != nil {
		return []string{w.balance()}
	}
	return w.Uplinks
}
