// SPDX-License-Identifier: Apache-2.0

// Package verify says what a policy promises, and holds plans and answers
// against it. Pure.
package verify

import "slices"

// Check is one thing that was looked at.
type Check struct {
	Group   string   `json:"group"` // one of the groups below
	Name    string   `json:"name"`
	Wrong   []string `json:"wrong"`             // what is, in sentences; none: it passed, or was left out
	Answer  string   `json:"answer,omitempty"`  // what was found
	Skipped string   `json:"skipped,omitempty"` // why it was left out; "": it was not

	drift bool // what is wrong is what an apply brings back
}

// The groups, in the order of a report.
const (
	Structure  = "structure"  // what the kernel holds
	Simulation = "simulation" // a flow of each match, and the route of its class
	Classifier = "classifier" // a flow of each match, asked of the BPF programs
	Failure    = "failure"    // each class with each uplink down, by the plan
	Live       = "live"       // a connection of each class
	Injected   = "injected"   // packets of each class with each uplink down
)

// Failed counts the checks that found something wrong.
func Failed(checks []Check) int {
	return count(checks, func(c Check) bool { return len(c.Wrong) > 0 })
}

// Differs tells whether all that is wrong is that the kernel does not hold the
// plan, which an apply brings back: no flow was seen to go a wrong way.
func Differs(checks []Check) bool {
	return Failed(checks) > 0 && Failed(checks) == count(checks, func(c Check) bool { return len(c.Wrong) > 0 && c.drift })
}

// Skipped counts those that were left out.
func Skipped(checks []Check) int { return count(checks, func(c Check) bool { return c.Skipped != "" }) }

func count(checks []Check, is func(Check) bool) (n int) {
	for _, c := range checks {
		if is(c) {
			n++
		}
	}
	return n
}

// NewCheck is a check with what is wrong, which is a list also when nothing is.
func NewCheck(group, name string, wrong ...string) Check {
	return Check{Group: group, Name: name, Wrong: append([]string{}, slices.Clone(wrong)...)}
}
