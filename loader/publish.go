// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"slices"

	"waymark/internal/host"
	"waymark/internal/match"
	"waymark/internal/plan"
)

// fill puts the matches and classes into the maps. The hooks that arm cgroups
// are attached before the tree is looked through.
func (a *apply) fill() {
	a.attach(plan.Hook.Arms)
	if a.fresh {
		a.do(func() error { return a.instance.Publish(a.plan, a.table, a.scan) }, func() error { return nil })
		if a.older != nil {
			a.do(func() error { return a.instance.TakeOver(a.older) }, func() error { return a.instance.Undo(a.older) })
		}
		if a.inherits() {
			a.do(func() error { return a.instance.Inherit(a.older) }, func() error { return nil })
			a.do(func() error { return a.hold(false) }, func() error { return nil })
		}
	} else if a.publishes() {
		a.do(a.publish, a.instance.Retract)
	}
	a.giveBack()
}

// publishes tells whether the maps change: for another policy, or because
// cgroups may have been made that nothing armed.
func (a *apply) publishes() bool {
	return a.fresh || a.changes.Classes || !a.survey.facts.Arms || slices.ContainsFunc(a.changes.Attach, plan.Hook.Arms)
}

func (a *apply) publish() error {
	if err := a.instance.Prepare(a.plan, a.table, a.scan); err != nil {
		return err
	}
	if err := a.hold(true); err != nil {
		return err
	}
	return a.instance.Switch()
}

// scan finds the cgroups there are that a table names.
func (a *apply) scan(t *match.Table) (map[uint64]uint32, error) { return host.NamedCgroups(a.root, t) }
