// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"slices"

	"waymark/internal/datapath"
)

// reroute deals with the flows whose class leaves by other uplinks now, though
// its route is what it was: one failed, or came back. It comes when nothing is
// undone any more, for a reset cannot be, and what was reset connects again at
// once and has to find the new way.
func (a *apply) reroute() error {
	before, after := a.waysBefore(), a.next.Usable
	if before == nil || slices.Equal(before, after) {
		return nil
	}
	r := datapath.Reroute{Plan: a.plan, Before: before, After: after}
	open := func() (*datapath.Walker, error) { return a.instance.Rerouter(r) }
	walked, err := a.walkIn(nil, open)
	a.walked.Add(walked)
	if err != nil {
		return err
	}
	r.Elsewhere = true
	walked, err = a.walkOthers(open)
	a.walked.Add(walked)
	return err
}

// waysBefore are the uplinks that could be used before; nil where that is not
// known, or no open socket has a mark of this plan's.
func (a *apply) waysBefore() []string {
	if a.state == nil || a.state.Settings.Mask != a.plan.Mask {
		return nil
	}
	return a.state.Usable
}
