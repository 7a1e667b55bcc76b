// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/plan"
)

// Order is a move that is asked for.
type Order struct {
	Subject  string        // see `waymark move --help`
	To       string        // name of a class of the applied policy, or Unclassed
	Existing classes.Fate  // of open sockets; "": the class's own
	For      time.Duration // it is taken back after that; 0: it stays
}

// Moved is what a move did, or would do.
type Moved struct {
	Override Override
	Text     string // of the override
	Changes  plan.Changes
	Walked   datapath.Walked
	InPolicy bool // of one that is taken back: the applied policy moves the same itself
}

// Move gives traffic another class, as an override of the applied policy. A
// move of the same subject is replaced. An error that is fs.ErrNotExist says
// that nothing is applied.
func (l *Loader) Move(order Order) (*Moved, error) {
	held, err := l.begin()
	if err != nil {
		return nil, err
	}
	defer held.release()
	want, moved, err := l.ordered(order)
	if err != nil {
		return nil, err
	}
	a, err := l.change(want)
	if err != nil {
		return nil, err
	}
	moved.Changes, moved.Walked = a.Changes, a.Walked
	return moved, nil
}

// Rehearse is Move without doing it: the changes it would make, and what
// would become of open sockets.
func (l *Loader) Rehearse(order Order) (*Moved, error) {
	held, err := l.begin()
	if err != nil {
		return nil, err
	}
	defer held.release()
	want, moved, err := l.ordered(order)
	if err != nil {
		return nil, err
	}
	w, err := l.survey(want)
	if err != nil {
		return nil, err
	}
	defer w.close()
	if w.conflict != nil {
		return nil, w.conflict
	}
	moved.Changes = w.changes
	if w.fresh || !w.changes.Classes {
		return moved, nil
	}
	a := &apply{Loader: l, survey: w, fate: want.fate}
	moved.Walked, err = a.rehearse()
	return moved, err
}

// ErrNoMove says that a subject was not moved.
var ErrNoMove = errors.New("there is none: `waymark status` lists them")

// Undo takes a move back. Its open sockets go the way they came. An error that is
// fs.ErrNotExist says that nothing is applied, and nothing is kept for it.
func (l *Loader) Undo(subject string) (*Moved, error) {
	held, err := l.begin()
	if err != nil {
		return nil, err
	}
	defer held.release()
	state, err := l.State()
	if errors.Is(err, fs.ErrNotExist) {
		return l.undoKept(subject)
	}
	if err != nil {
		return nil, err
	}
	if err := l.at(state.CgroupRoot); err != nil {
		return nil, err
	}
	o, err := l.moveOf(state.Overrides, subject)
	if err != nil {
		if moved, none := l.undoKept(subject); none == nil {
			return moved, nil // it waited for its class
		}
		return nil, err
	}
	a, err := l.takeBack(state, o, false)
	if err != nil {
		return nil, err
	}
	policy, err := a.State.Policy()
	if err != nil {
		return nil, err
	}
	return &Moved{Override: o, Text: o.String(), Changes: a.Changes, Walked: a.Walked, InPolicy: slices.ContainsFunc(policy.Moves, o.moves)}, nil
}

// undoKept takes back a move of before the machine started: it may be what keeps
// a policy from being applied. An error that is fs.ErrNotExist says that there are
// none.
func (l *Loader) undoKept(subject string) (*Moved, error) {
	all, err := l.keptMoves()
	if err == nil && len(all) == 0 {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	o, err := l.moveOf(all, subject)
	if err != nil {
		return nil, fmt.Errorf("%w; nothing is applied, and what waits for that is in %s", err, l.movesFile())
	}
	return &Moved{Override: o, Text: o.String()}, l.keepMoves(without(o.Subject)(all))
}

// moveOf is the move of a subject among others.
func (l *Loader) moveOf(all []Override, subject string) (o Override, err error) {
	names := l.Names(subject)
	i := slices.IndexFunc(all, func(o Override) bool { return slices.Contains(names, l.Subject(o.Subject)) })
	if i < 0 {
		return o, fmt.Errorf("take back the move of %s: %w", names[0], ErrNoMove)
	}
	return all[i], nil
}

// ordered is what an order brings the kernel to: the applied policy with one
// more override.
func (l *Loader) ordered(order Order) (want wanted, moved *Moved, err error) {
	state, err := l.State()
	if err != nil {
		return want, nil, err
	}
	if err := l.at(state.CgroupRoot); err != nil {
		return want, nil, err
	}
	if want.policy, err = state.Policy(); err != nil {
		return want, nil, err
	}
	o := Override{Existing: order.Existing, Author: l.options.Author, Since: time.Now().UTC().Truncate(time.Second)}
	if o.Override, err = l.subject(state, want.policy, l.Subject(order.Subject)); err != nil {
		return want, nil, fmt.Errorf("move %s: %w", order.Subject, err)
	}
	if named := usersIn(&o.Match); named != nil {
		o.Users, _ = l.users(named, want, state.Overrides, state)
	}
	o.To = order.To
	if order.To != Unclassed && !slices.ContainsFunc(want.policy.Classes, func(c classes.Class) bool { return c.Name == order.To }) {
		return want, nil, fmt.Errorf("move %s: the applied policy has no class %q: `waymark status` lists them", order.Subject, order.To)
	}
	if o.From == o.To {
		return want, nil, fmt.Errorf("move %s: it is in class %s already", order.Subject, o.To)
	}
	if order.For > 0 {
		o.Until = host.SinceBoot() + order.For
	}
	want.fate = o.Existing
	want.edit = func(all []Override) []Override { return append(without(o.Subject)(all), o) }
	return want, &Moved{Override: o, Text: o.String()}, nil
}
