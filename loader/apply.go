// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/plan"
)

// Apply brings the kernel to the policy's plan: tables, rules, sysctls, map
// contents, hooks; then it removes what the plan no longer has, the other
// way round. When a step fails, all is put back as it was. Nothing to change
// is no error. Errors are those of Plan, *datapath.Unsupported, or the
// kernel's.
func (l *Loader) Apply(policy *classes.Policy) (*Applied, error) {
	return l.applyWanted(wanted{policy: policy})
}

// ApplyMoved is Apply with moves that are to be in force, in place of those that
// are.
func (l *Loader) ApplyMoved(policy *classes.Policy, moves []Override) (*Applied, error) {
	return l.applyWanted(wanted{policy: policy, edit: func([]Override) []Override { return slices.Clone(moves) }})
}

func (l *Loader) applyWanted(want wanted) (*Applied, error) {
	held, err := l.begin()
	if err != nil {
		return nil, err
	}
	defer held.release()
	return l.change(want)
}

// begin takes the lock, finishes or undoes what was interrupted, and carries
// out what has come due.
func (l *Loader) begin() (*lock, error) {
	datapath.Preload()
	held, err := l.lock()
	if err != nil {
		return nil, err
	}
	if err := l.recover(); err != nil {
		held.release()
		return nil, err
	}
	if err := l.due(); err != nil {
		held.release()
		return nil, err
	}
	return held, nil
}

// change brings the kernel to what is wanted. The lock is held.
func (l *Loader) change(want wanted) (*Applied, error) {
	want.write()
	want.locked = true
	w, err := l.survey(want)
	if err != nil {
		return nil, err
	}
	defer w.close()
	if w.conflict != nil {
		return nil, w.conflict
	}
	if want.agrees != nil {
		if err := want.agrees(w); err != nil {
			return nil, err
		}
	}
	a := &apply{Loader: l, survey: w, trial: want.trial, fate: want.fate, lapsed: want.lapsed, resumes: want.resumes || want.back != 0}
	if a.next, err = l.next(want, w); err != nil {
		return nil, err
	}
	applied := &Applied{Plan: w.plan, Changes: w.changes, State: a.next, Replaced: l.replaced, Unread: w.unread}
	if w.settled(a.next) {
		return applied, nil
	}
	if want.asked && l.givenUp() {
		return nil, errors.New("apply: stopped: nothing was changed")
	}
	if err := a.run(); err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	applied.Walked = a.walked
	return applied, nil
}

// givenUp tells whether nobody waits for what the loader does.
func (l *Loader) givenUp() bool {
	select {
	case <-l.options.Done:
		return true
	default:
		return false
	}
}

// Applied is what an apply did.
type Applied struct {
	Plan     *plan.Plan
	Changes  plan.Changes
	Walked   datapath.Walked
	State    *State // that is in force now
	Replaced bool   // the programs of another build gave way to this one's
	Unread   error  // why moves of before the machine started are not in force, which the plan's notes say, too; nil: they are
}

// TakesUp tells whether moves came in force with it that end by themselves: those of
// before the machine started, whom nobody waits for any more.
func (a *Applied) TakesUp() bool {
	return a.State.Number == 1 && !a.Changes.Empty() && slices.ContainsFunc(a.State.Overrides, func(o Override) bool { return o.Until != 0 })
}

// apply is one change of the kernel.
type apply struct {
	*Loader
	*survey
	steps
	next    *State             // that the change leads to
	trial   time.Duration      // of it; 0: it stays
	fate    classes.Fate       // of open sockets, in place of the classes' own; "": theirs
	lapsed  bool               // as of wanted
	resumes bool               // it is in place of what was tried and is not confirmed
	older   *datapath.Instance // the instance that a fresh one takes over from; nil for none
	walked  datapath.Walked
}

func (a *apply) run() error {
	a.journal()
	a.verify()
	a.withdraw()
	a.attach(a.guards)
	a.addRoutes()
	a.setSysctls(plan.FiltersReverse)
	a.addRules()
	a.translate()
	a.setSysctls(otherSysctls)
	a.fill()
	a.attach(func(h plan.Hook) bool { return !h.Arms() && !a.guards(h) })
	a.writeMoves()
	a.writeTried()
	a.keepState()
	a.walk()
	a.detach()
	a.restoreSysctls(otherSysctls)
	a.deleteRules()
	a.deleteRoutes(func(r plan.Route) bool { return !a.leadsNowhere(r) })
	a.restoreSysctls(plan.FiltersReverse)
	if a.older != nil {
		defer a.older.Close()
	}
	if err := a.finish(); err != nil {
		return err
	}
	err := errors.Join(a.reroute(), a.retranslate())
	return errors.Join(a.settle(), err)
}

// writeMoves writes the overrides down for the next start of the machine.
func (a *apply) writeMoves() {
	next := a.next.Overrides
	written := a.state == nil || a.state.Unfinished == "" && (len(next) == 0 || exists(a.movesFile()))
	if written && sameOverrides(a.held, next) {
		return
	}
	a.do(func() error {
		if err := a.keepMoves(next); err != nil && !a.lapsed {
			return err
		}
		return nil // a file system that is read-only is to keep nobody from healing
	}, func() error { return a.keepMoves(a.held) })
}
