// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"maps"
	"os"

	"waymark/internal/datapath"
)

// A fresh instance is built under a name of its own, and an old one that it
// replaces keeps another until the fresh one has its place.
const newSuffix, oldSuffix = "-new", "-old"

// create makes the maps of a fresh instance, empty, beside the one there is.
func (a *apply) create() {
	if !a.fresh {
		return
	}
	a.older, a.instance = a.instance, nil
	a.do(func() error {
		dir, err := a.dir()
		if err != nil {
			return err
		}
		if a.instance, err = datapath.Create(dir+newSuffix, datapath.SettingsFor(a.plan, a.cookie)); err != nil {
			return blame(err)
		}
		return nil
	}, func() error { return datapath.Remove(a.instance.Dir()) })
}

// remember writes down how the sysctls are before they are changed: if this
// process is killed in between, the next one puts them back.
func (a *apply) remember() {
	before := len(a.original)
	for _, s := range a.changes.SetSysctls {
		if _, changed := a.original[s.Name]; !changed {
			a.original[s.Name] = a.have.Sysctls[s.Name]
		}
	}
	if len(a.original) == before {
		return
	}
	if a.fresh {
		a.do(func() error { return a.writeState(&State{Format: stateFormat, Sysctls: a.original}) }, func() error { return nil })
		return
	}
	state := *a.state
	state.Sysctls = a.original
	a.do(func() error { return a.writeState(&state) }, func() error { return a.writeState(a.state) })
}

// rename gives a fresh instance its name, which is when its plan is in force.
func (a *apply) rename(dir string) error {
	if err := os.Rename(dir, dir+oldSuffix); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := a.instance.Rename(dir); err != nil {
		return err
	}
	return datapath.Remove(dir + oldSuffix)
}

func (a *apply) unrename(dir string) error { return a.instance.Rename(dir + newSuffix) }

// recover finishes or undoes what an interrupted apply left.
func (l *Loader) recover() error {
	dir, err := l.dir()
	if err != nil {
		return err
	}
	if exists(dir+oldSuffix) && !exists(dir) && exists(dir+newSuffix) {
		if err := os.Rename(dir+newSuffix, dir); err != nil {
			return err
		}
	}
	if err := forget(dir); err != nil {
		return fmt.Errorf("put back the sysctls of an interrupted apply: %w", err)
	}
	for _, suffix := range []string{newSuffix, oldSuffix} {
		if err := datapath.Remove(dir + suffix); err != nil {
			return fmt.Errorf("remove what an interrupted apply left in %s: %w", dir+suffix, err)
		}
	}
	return nil
}

// forget puts back what an unfinished instance changed and no finished one
// wants changed.
func forget(dir string) error {
	unfinished, err := readState(dir + newSuffix)
	if err != nil {
		return nil // it had not come as far, or is damaged and says nothing
	}
	changed := maps.Clone(unfinished.Sysctls)
	if state, err := readState(dir); err == nil {
		maps.DeleteFunc(changed, func(name, _ string) bool { _, wanted := state.Sysctls[name]; return wanted })
	}
	_, err = restore(changed)
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
