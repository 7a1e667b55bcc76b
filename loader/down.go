// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"waymark/internal/datapath"
	"waymark/internal/nat"
	"waymark/internal/plan"
)

// Down removes everything of ours, in the reverse of Apply's order: hooks,
// sysctls, rules, tables, and at last the maps with the memory of how things
// were. Values that somebody changed since are left as they are. It works on
// what is there, whole or damaged, and returns what it removed; nothing
// there is no error.
func (l *Loader) Down() (Removed, error) {
	held, err := l.lock()
	if err != nil {
		return Removed{}, err
	}
	defer held.release()
	r, err := l.remove()
	if err := errors.Join(err, l.forgetTried()); err != nil {
		return r, fmt.Errorf("down: %w", err)
	}
	return r, nil
}

// Removed counts what Down took away, and names what it could not see to.
type Removed struct {
	Instance bool     `json:"instance"` // BPF programs and maps
	Sysctls  int      `json:"sysctls"`  // put back
	Rules    int      `json:"rules"`
	Table    bool     `json:"table"` // of nftables
	Routes   int      `json:"routes"`
	Unknown  []string `json:"unknown,omitempty"` // sysctls that may be as we set them: the memory of how they were is lost
	Left     []string `json:"left,omitempty"`    // what others have in the pin directory
}

// Nothing tells whether there was nothing of ours.
func (r Removed) Nothing() bool {
	return !r.Instance && r.Sysctls == 0 && r.Rules == 0 && r.Routes == 0 && !r.Table
}

// remove takes everything away. The lock is held.
func (l *Loader) remove() (r Removed, err error) {
	dir, err := l.dir()
	if err != nil {
		return r, err
	}
	places := []string{dir, dir + newSuffix, dir + oldSuffix, dir + lostSuffix}
	before, known := remembered(places)
	r.Instance = slices.ContainsFunc(places, exists)
	if err := l.leave(dir); err != nil {
		return r, err
	}
	for _, place := range places {
		if err := datapath.DetachAll(place); err != nil {
			return r, err
		}
	}
	if r.Sysctls, err = restore(before); err != nil {
		return r, err
	}
	if r.Instance && !known {
		if r.Unknown, err = l.suspects(); err != nil {
			return r, err
		}
	}
	if err := l.removeRouting(&r); err != nil {
		return r, err
	}
	for _, s := range append(states(dir), &State{CgroupRoot: l.root}) {
		if !shared(s.CgroupRoot, dir) {
			removePlaces(s.CgroupRoot)
		}
	}
	// A file that cannot be removed is no reason to be stuck half way.
	kept := l.forgetAllMoves()
	if err := l.forget(dir, &r); err != nil {
		return r, err
	}
	if kept != nil {
		return r, fmt.Errorf("%w; all else is removed", kept)
	}
	return r, nil
}

// leave writes down that everything goes: if this process is killed, the
// next one goes on.
func (l *Loader) leave(dir string) error {
	state, err := readState(dir)
	if err != nil || state.Unfinished == removing {
		return nil // then there is nothing to be mistaken for a policy in force
	}
	state.Unfinished = removing
	return writeState(dir, *state)
}

// forget removes the maps, and the states with them, at once.
func (l *Loader) forget(dir string, r *Removed) (err error) {
	for _, place := range []string{dir + newSuffix, dir + oldSuffix, dir + lostSuffix} {
		if err := discard(place); err != nil {
			return err
		}
	}
	if exists(dir) {
		if err := os.Rename(dir, dir+oldSuffix); err != nil {
			return err
		}
	}
	if err := handOver(dir); err != nil {
		return err
	}
	r.Left, err = datapath.Left(dir)
	return err
}

func (l *Loader) removeRouting(r *Removed) error {
	table, err := nat.Read()
	if err != nil {
		return err
	}
	if r.Table = !table.Empty(); r.Table {
		if err := nat.Write(plan.Table{}); err != nil {
			return err
		}
	}
	rules, err := l.rules.Rules()
	if err != nil {
		return err
	}
	for n := len(rules) - 1; n >= 0; n-- {
		if rules[n].Protocol != plan.Protocol {
			continue
		}
		if err := l.rules.DeleteRule(rules[n]); err != nil {
			return err
		}
		r.Rules++
	}
	routes, err := l.rules.Routes()
	if err != nil {
		return err
	}
	for n := len(routes) - 1; n >= 0; n-- {
		if routes[n].Protocol != plan.Protocol {
			continue
		}
		if err := l.rules.DeleteRoute(routes[n]); err != nil {
			return err
		}
		r.Routes++
	}
	return nil
}
