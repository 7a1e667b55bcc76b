// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"slices"

	"waymark/internal/plan"
)

// guards tells whether a hook drops what a closed class must not send by an
// uplink that is new to an instance in force. It has to be there before a route
// is: IPv6 looks for a way a second time, with a source address, where the
// class's own rules have none, and then the uplink's rule comes before them.
func (a *apply) guards(h plan.Hook) bool {
	return !a.fresh && h.Program == plan.EgressProgram
}

// verify readies the programs of all hooks that are missing.
func (a *apply) verify() {
	a.do(func() error {
		if err := a.instance.Verify(a.changes.Attach); err != nil {
			return blame(err)
		}
		return nil
	}, func() error { return nil })
}

// attach attaches those hooks of a kind that are missing.
func (a *apply) attach(which func(plan.Hook) bool) {
	for _, h := range a.changes.Attach {
		if !which(h) {
			continue
		}
		a.do(func() error { return a.attachOne(h) }, func() error {
			for _, old := range a.have.Hooks {
				if old.Pin == h.Pin {
					return a.instance.Attach(old)
				}
			}
			return a.instance.GiveBack(h)
		})
	}
}

func (a *apply) attachOne(h plan.Hook) error {
	err := a.instance.Attach(h)
	if err != nil {
		return blame(err)
	}
	return nil
}

// detach takes away hooks that the plan no longer has. Those that were only
// moved have been attached anew under the same pin.
func (a *apply) detach() {
	for _, h := range a.changes.Detach {
		if slices.ContainsFunc(a.plan.Hooks, func(want plan.Hook) bool { return want.Pin == h.Pin }) {
			continue
		}
		a.do(func() error { return a.instance.Detach(h) }, func() error { return a.instance.Attach(h) })
	}
}
