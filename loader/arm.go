// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"io/fs"

	"waymark/internal/host"
	"waymark/internal/match"
)

// ArmCgroups enters the cgroups into the table that were made since the last
// apply, where the kernel has no tracepoint for a program to do it. An error
// that is fs.ErrNotExist says that nothing is applied.
func (l *Loader) ArmCgroups() error {
	dir, err := l.dir()
	if err != nil {
		return err
	}
	if !exists(dir) {
		return fs.ErrNotExist
	}
	held, err := l.begin()
	if err != nil {
		return err
	}
	defer held.release()
	state, err := l.stateIn(dir)
	if err != nil {
		return err
	}
	i, err := state.open(dir)
	if err != nil {
		return err
	}
	defer i.Close()
	return i.Rearm(func(t *match.Table) (map[uint64]uint32, error) { return host.NamedCgroups(state.CgroupRoot, t) })
}

// unarmed is the directory whose cgroups nobody arms as they are made though
// the plan has matches that name some; "" for none.
func (w *survey) unarmed(root string) string {
	if !w.facts.Arms && w.plan.NamesCgroups() {
		return root
	}
	return ""
}
