// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"maps"

	"waymark/internal/plan"
)

// numbered makes the plan again if it gives up a number that a flow still has
// without its socket's mark: nobody else may get it, and its rules stay.
func (w *survey) numbered(l *Loader, want wanted, before plan.Numbers) error {
	if w.plan == nil || w.instance == nil || !w.state.current() || w.state.Settings.Mask != w.plan.Mask || !w.plan.Frees(before) {
		return nil
	}
	carried, err := (&apply{Loader: l, survey: w}).carried(want.locked)
	if err != nil || len(carried) == 0 {
		return err
	}
	all := maps.Clone(w.facts.InUse)
	maps.Copy(all, carried)
	w.facts.InUse = all
	w.plan, w.conflict = w.make(l, want, before)
	return nil
}

// carried are the marks that flows have without their sockets, here and in
// the network namespaces of the processes in classed cgroups.
func (a *apply) carried(alone bool) (map[uint32]bool, error) {
	look, err := a.instance.CarriedLook(alone)
	if err != nil {
		return nil, err
	}
	defer look.Close()
	if err := look.Walk(); err != nil {
		return nil, err
	}
	namespaces, err := a.others()
	if err != nil {
		return nil, err
	}
	if err := look.Elsewhere(); err != nil {
		return nil, err
	}
	for _, n := range namespaces {
		defer n.Close()
		if err := n.Do(look.Walk); err != nil {
			return nil, err
		}
	}
	return look.Marks()
}
