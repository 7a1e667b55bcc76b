// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"io/fs"

	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/plan"
)

// Down removes everything of ours, in the reverse of Apply's order: hooks,
// maps, sysctls, rules, tables. Values that somebody changed since are left
// as they are. It works on what is there, whole or damaged, and returns
// what it removed; nothing there is no error.
func (l *Loader) Down() (Removed, error) {
	var r Removed
	held, err := l.lock()
	if err != nil {
		return r, err
	}
	defer held.release()
	dir, err := l.dir()
	if err != nil {
		return r, err
	}
	r.Instance = exists(dir) || exists(dir+newSuffix) || exists(dir+oldSuffix)
	if err := l.recover(); err != nil {
		return r, fmt.Errorf("down: %w", err)
	}
	state, stateErr := readState(dir)
	if errors.Is(stateErr, fs.ErrNotExist) {
		stateErr = nil
	}
	if err := datapath.Remove(dir); err != nil {
		return r, fmt.Errorf("down: %w", err)
	}
	if state != nil {
		if r.Sysctls, err = restore(state.Sysctls); err != nil {
			return r, fmt.Errorf("down: %w", err)
		}
	}
	if err := l.removeRouting(&r); err != nil {
		return r, fmt.Errorf("down: %w", err)
	}
	if stateErr != nil {
		return r, fmt.Errorf("down: sysctls could not be put back: %w", stateErr)
	}
	return r, nil
}

// Removed counts what Down took away.
type Removed struct {
	Instance bool `json:"instance"` // BPF programs and maps
	Sysctls  int  `json:"sysctls"`  // put back
	Rules    int  `json:"rules"`
	Routes   int  `json:"routes"`
}

// Nothing tells whether there was nothing of ours.
func (r Removed) Nothing() bool { return r == Removed{} }

// restore puts back every value that is still the one a plan sets.
func restore(before map[string]string) (n int, err error) {
	names := make([]string, 0, len(before))
	for name := range before {
		names = append(names, name)
	}
	now, err := host.Sysctls(names)
	if err != nil {
		return 0, err
	}
	for name, old := range before {
		current, exists := now[name]
		if !exists || current == old || !plan.Sets(name, current) {
			continue
		}
		if err := host.SetSysctl(name, old); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (l *Loader) removeRouting(r *Removed) error {
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
