// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"io/fs"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/plan"
)

// reading is a state as it was read last: while its pin is the same, it says the
// same.
type reading struct {
	dir     string
	version uint64 // datapath.StateVersion
	state   State
}

// readState is the state of the instance in dir, as the caller's own; an error
// that is fs.ErrNotExist says that there is none.
func (l *Loader) readState(dir string) (*State, error) {
	version := datapath.StateVersion(dir)
	if r := l.reading; version == 0 || r.dir != dir || r.version != version {
		state, err := readState(dir)
		if err != nil {
			return nil, err
		}
		l.reading = reading{dir, version, *state}
	}
	state := l.reading.state
	return &state, nil
}

// memory is what was applied when Heal last looked. It is all there is left when
// somebody removes the pin.
type memory struct {
	version uint64 // datapath.StateVersion
	state   *State
	policy  *classes.Policy
}

// remember reads the state anew if its pin is another than the remembered
// one, and tells whether it is.
func (l *Loader) remember(dir string) (fresh bool, err error) {
	version := datapath.StateVersion(dir)
	if version != 0 && l.memory != nil && version == l.memory.version {
		return false, nil
	}
	state, err := l.ours(l.readState(dir))
	if err != nil {
		return false, err
	}
	policy, err := l.policyOf(state)
	if err != nil {
		return false, err
	}
	l.memory = &memory{version, state, policy}
	return true, nil
}

// policyOf is a state's policy: the remembered one, if it is that.
func (l *Loader) policyOf(state *State) (*classes.Policy, error) {
	if l.memory != nil && state.Digest != "" && state.Digest == l.memory.state.Digest {
		return l.memory.policy, nil
	}
	return state.Policy()
}

// stateIn is the state of the instance in dir, or the remembered one if that
// was lost. (mend has judged by then whether it was lost or taken down.)
func (l *Loader) stateIn(dir string) (*State, error) {
	if l.memory == nil {
		return l.ours(l.readState(dir))
	}
	if _, err := l.remember(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	state := *l.memory.state
	return &state, nil
}

// mend pins the state and the maps again where their pins are gone, and
// returns the names of what it pinned. fs.ErrNotExist says that there is
// nothing to keep: nothing was applied, or it was taken down.
func (l *Loader) mend(dir string) (pinned []string, err error) {
	_, err = l.remember(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	lost := err != nil
	if lost {
		if err := l.lost(dir); err != nil {
			return nil, err
		}
	}
	settings := l.memory.state.Settings
	pinned, err = datapath.Repin(dir, settings)
	if err != nil {
		// Too little is left of the instance: the next one is made from memory.
		return []string{"all"}, discard(dir)
	}
	if lost {
		if err := writeState(dir, *l.memory.state); err != nil {
			return nil, fmt.Errorf("write the state again: %w", err)
		}
		pinned = append(pinned, "state")
	}
	return pinned, nil
}

// lost tells apart, when the state's pin is gone, damage from a `down`, which
// leaves no directory and no rule: nil, or fs.ErrNotExist.
func (l *Loader) lost(dir string) error {
	if l.memory == nil {
		return fs.ErrNotExist
	}
	if exists(dir) {
		return nil
	}
	rules, err := l.rules.Rules()
	if err != nil {
		return err
	}
	for _, r := range rules {
		if r.Protocol == plan.Protocol {
			return nil
		}
	}
	l.memory = nil
	return fs.ErrNotExist
}
