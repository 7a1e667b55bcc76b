// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"waymark/classes"
	"waymark/internal/host"
	"waymark/internal/match"
)

// Trial says of a state that it goes back by itself unless Confirm comes
// before. The time is of a clock that nobody sets.
type Trial struct {
	Until time.Duration `json:"until"` // since the machine started (CLOCK_BOOTTIME), in nanoseconds
	Back  int           `json:"back"`  // number of the state to go back to; 0: to nothing
}

// Left is how long the trial still lasts; negative when it is over.
func (t *Trial) Left() time.Duration { return t.Until - host.SinceBoot() }

// GoesBack is a trial as people want to know of it.
type GoesBack struct {
	In int `json:"in"` // seconds, rounded up; 0 when it is due
	To int `json:"to"` // number of a state; 0: to nothing
}

// GoesBack is the trial, seen from now; nil of a nil one.
func (t *Trial) GoesBack() *GoesBack {
	if t == nil {
		return nil
	}
	return &GoesBack{In: int(max(0, t.Left()+time.Second-1) / time.Second), To: t.Back}
}

// OnTrial is the error of an apply while another waits for its confirmation.
type OnTrial struct {
	Trial
	Number int // of the state on trial
}

func (e *OnTrial) Error() string {
	return fmt.Sprintf("state %d waits for its confirmation, and goes back in %s: first run `waymark confirm` to keep it, or `waymark rollback` to go back now",
		e.Number, e.Left().Round(time.Second))
}

// Try is Apply for a time: unless Confirm comes within d, the state before
// is brought back, by whoever runs first then: Wait, or any command that
// changes something. A policy that is in force already is not tried.
func (l *Loader) Try(policy *classes.Policy, d time.Duration) (*Applied, error) {
	return l.applyWanted(wanted{policy: policy, trial: d, asked: true})
}

// Confirm keeps the state that is on trial, and returns it.
func (l *Loader) Confirm() (*State, error) {
	held, err := l.begin()
	if err != nil {
		return nil, err
	}
	defer held.release()
	state, err := l.State()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if state == nil || state.Trial == nil {
		return nil, errors.New("confirm: nothing waits for its confirmation: `waymark status` lists what was applied, and what went back")
	}
	state.Trial = nil
	dir, err := l.dir()
	if err != nil {
		return nil, err
	}
	// Killed in between, it goes back in time; the other way round, what is kept would
	// be gone back on by the next start of the machine.
	forgotten := l.forgetTried()
	if err := writeState(dir, *state); err != nil {
		return nil, errors.Join(err, forgotten)
	}
	if forgotten != nil {
		return nil, fmt.Errorf("state %d is kept until an agent begins anew, which would go back on it: %w", state.Number, forgotten)
	}
	return state, nil
}

// due carries out what a deadline of the state asks for. The lock is held.
func (l *Loader) due() error {
	state, err := l.State()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if t := state.Trial; t != nil && t.Left() <= 0 {
		defer func(root string, top match.Root) { l.root, l.top = root, top }(l.root, l.top)
		if _, err := l.goBack(state, t.Back, "not confirmed, "); err != nil {
			return fmt.Errorf("go back from state %d, which was not confirmed: %w: see to that, or run `waymark down`", state.Number, err)
		}
	}
	return l.expire()
}

// Due tells whether something is to be carried out now that Heal, as any other
// change, would carry out first: by the state as it was last read.
func (l *Loader) Due() bool {
	if l.memory == nil {
		return false
	}
	at, ok := l.memory.state.deadline()
	return ok && host.SinceBoot() >= at
}

// deadline is when the state next has something to be carried out.
func (s *State) deadline() (at time.Duration, ok bool) {
	if s.Trial != nil {
		at, ok = s.Trial.Until, true
	}
	for _, o := range s.Overrides {
		if o.Until != 0 && (!ok || o.Until < at) {
			at, ok = o.Until, true
		}
	}
	return at, ok
}
