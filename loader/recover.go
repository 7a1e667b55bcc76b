// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"waymark/internal/datapath"
	"waymark/internal/match"
)

// A fresh instance is built under a name of its own, and an old one that it
// replaces keeps another until the fresh one is settled. One that was undone
// has a third, until what it counted is the other's.
const newSuffix, oldSuffix, lostSuffix = "-new", "-old", "-lost"

// recover finishes or undoes what an interrupted command left, and gives what
// another binary applied the programs of this one, before anything else is
// changed. The lock is held.
func (l *Loader) recover() error {
	dir, err := l.dir()
	if err != nil {
		return err
	}
	if err := l.oneInstance(dir); err != nil {
		return fmt.Errorf("undo what an interrupted apply left: %w", err)
	}
	state, err := l.readState(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case state.Unfinished == removing:
		if _, err := l.remove(); err != nil {
			return fmt.Errorf("finish an interrupted down: %w", err)
		}
	case state.Unfinished != "":
		if err := l.bring(state); err != nil {
			return fmt.Errorf("finish or undo an interrupted apply: %w: see to that, or run `waymark down`", err)
		}
	case !state.current():
		if err := l.bring(state); err != nil {
			return fmt.Errorf("take over what another waymark applied: %w: see to that with the one that did, or run `waymark down`", err)
		}
		l.replaced = true
	}
	return l.regain(dir)
}

// oneInstance settles which instance is in force, and removes others.
func (l *Loader) oneInstance(dir string) error {
	if exists(dir+newSuffix) && exists(dir+oldSuffix) && !exists(dir) {
		if err := os.Rename(dir+newSuffix, dir); err != nil {
			return err
		}
	}
	if exists(dir + newSuffix) {
		if err := l.undoFresh(dir); err != nil {
			return err
		}
	}
	return handOver(dir)
}

// undoFresh takes away an instance that did not come in force. What it
// changed beside itself is gone back on with the state in force, or with
// everything where there is none.
func (l *Loader) undoFresh(dir string) error {
	state, err := readState(dir)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = l.remove()
		return err
	}
	if err != nil {
		return err
	}
	if pending, err := readState(dir + newSuffix); err == nil && state.Unfinished != removing {
		state.Unfinished, state.Numbers = applying, state.Numbers.With(pending.Numbers)
		state.Sysctls = union(state.Sysctls, pending.Sysctls)
		if err := writeState(dir, *state); err != nil {
			return err
		}
	}
	if state.Unfinished == removing || !datapath.Succeeded(dir+newSuffix, dir) {
		return discard(dir + newSuffix)
	}
	return l.setAside(dir)
}

// setAside keeps the maps of a fresh instance that did not come in force: its
// programs count in them until the hooks have others.
func (l *Loader) setAside(dir string) error {
	if err := l.regain(dir); err != nil {
		return err
	}
	if err := os.Rename(dir+newSuffix, dir+lostSuffix); err != nil {
		return err
	}
	return datapath.DetachAll(dir + lostSuffix)
}

// regain gives the instance in force what one that was undone has counted.
func (l *Loader) regain(dir string) error {
	if !exists(dir + lostSuffix) {
		return nil
	}
	if err := carryBack(dir+lostSuffix, dir); err != nil {
		return err
	}
	return discard(dir + lostSuffix)
}

// carryBack has the instance in one directory add what that in another counted.
// One whose state nobody can read has nothing to give.
func carryBack(from, to string) error {
	before, err := readState(from)
	if err != nil {
		return nil
	}
	now, err := readState(to)
	if err != nil {
		return nil
	}
	lost, err := before.open(from)
	if err != nil {
		return err
	}
	defer lost.Close()
	heir, err := now.open(to)
	if err != nil {
		return err
	}
	defer heir.Close()
	return lost.CarryBack(heir)
}

// bring brings the kernel to the policy of a state.
func (l *Loader) bring(state *State) error {
	policy, err := state.Policy()
	if err != nil {
		return err
	}
	defer func(root string, top match.Root) { l.root, l.top = root, top }(l.root, l.top)
	if err := l.at(state.CgroupRoot); err != nil {
		return err
	}
	_, err = l.change(wanted{policy: policy})
	return err
}

// handOver takes the older instance away. What in its directory is others'
// moves into that of its successor, or stays where it was if there is none.
func handOver(dir string) error {
	if err := carry(dir); err != nil {
		return err
	}
	if err := discard(dir + oldSuffix); err != nil {
		return err
	}
	left, err := datapath.Left(dir + oldSuffix)
	if err != nil || len(left) == 0 {
		return err
	}
	if !exists(dir) {
		return os.Rename(dir+oldSuffix, dir)
	}
	for _, name := range left {
		if err := os.Rename(filepath.Join(dir+oldSuffix, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return os.Remove(dir + oldSuffix)
}

// carry detaches the older instance, and has its successor take over what it
// counted to the end.
func carry(dir string) error {
	if !exists(dir + oldSuffix) {
		return nil
	}
	before, err := readState(dir + oldSuffix)
	if err != nil {
		return nil // a successor settled that one long ago, or it goes unread
	}
	now, err := readState(dir)
	if err != nil {
		return nil // there is none
	}
	if err := datapath.DetachAll(dir + oldSuffix); err != nil {
		return err
	}
	older, err := datapath.OpenOther(dir+oldSuffix, before.Settings)
	if err != nil {
		return err
	}
	defer older.Close()
	successor, err := now.open(dir)
	if err != nil {
		return err
	}
	defer successor.Close()
	return successor.Carry(older)
}

// discard removes the instance in a directory, whole or in part.
func discard(dir string) error {
	remove := datapath.Remove
	if state, err := readState(dir); err == nil && state.current() || !datapath.HasOurs(dir) {
		remove = datapath.RemoveNamed
	}
	if err := remove(dir); err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	return nil
}

// union is both; where they differ, the first.
func union(first, second map[string]string) map[string]string {
	both := maps.Clone(second)
	if both == nil {
		both = map[string]string{}
	}
	maps.Copy(both, first)
	return both
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
