// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/match"
	"waymark/internal/nat"
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

// wanted is what a change brings the kernel to.
type wanted struct {
	policy *classes.Policy
	trial  time.Duration // it goes back by itself after that; 0: it stays
	back   int           // the number of the state that it returns to; 0: it returns to none
	why    string        // before the change's line, for one that nobody asked for
	agrees func(*survey) error
	edit   func([]Override) []Override // of the overrides that there are; nil: they stay
	fate   classes.Fate                // of open sockets, in place of the classes' own; "": theirs

	withdrawn map[string]string // plan.Facts.Withdrawn; nil: it stays
	locked    bool              // the lock is held

	text    *policyText            // of the policy; nil unless write was called
	outline func() classes.Outline // of the policy
}

// withdrawals are the uplinks that nothing is sent by.
func (w wanted) withdrawals(state *State) map[string]string {
	if w.withdrawn == nil && state != nil {
		return state.Withdrawn
	}
	return w.withdrawn
}

// write has the policy written into a state. What the state says of it takes,
// with many matches, as long as all that comes before: begin begins to make it.
func (want *wanted) write() {
	want.text, want.outline = textOf(want.policy.Files()), sync.OnceValue(want.policy.Outline)
}

// begin makes, in the meantime, what write has announced, with the help of the
// state before; nil for none.
func (want wanted) begin(before *State) {
	if before != nil {
		want.text.start(before.text)
	} else {
		want.text.start(nil)
	}
	go want.outline()
}

// repeats tells whether what is wanted is the policy in force, to the letter:
// most likely nothing is to be changed.
func (want wanted) repeats(state *State) bool {
	if state == nil {
		return false
	}
	mine, err := want.text.digest()
	theirs, otherErr := state.digest()
	return errors.Join(err, otherErr) == nil && mine == theirs
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
	a := &apply{Loader: l, survey: w, trial: want.trial, fate: want.fate}
	if a.next, err = l.next(want, w); err != nil {
		return nil, err
	}
	applied := &Applied{Plan: w.plan, Changes: w.changes, State: a.next}
	if w.settled(a.next) {
		return applied, nil
	}
	if err := a.run(); err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	applied.Walked = a.walked
	return applied, nil
}

// Applied is what an apply did.
type Applied struct {
	Plan    *plan.Plan
	Changes plan.Changes
	Walked  datapath.Walked
	State   *State // that is in force now
}

// apply is one change of the kernel.
type apply struct {
	*Loader
	*survey
	steps
	next   *State             // that the change leads to
	trial  time.Duration      // of it; 0: it stays
	fate   classes.Fate       // of open sockets, in place of the classes' own; "": theirs
	older  *datapath.Instance // the instance that a fresh one takes over from; nil for none
	walked datapath.Walked
}

func (a *apply) run() error {
	a.journal()
	a.withdraw()
	a.attach(a.guards)
	a.addRoutes()
	a.addRules()
	a.translate()
	a.setSysctls()
	a.fill()
	a.attach(func(h plan.Hook) bool { return !h.Arms() && !a.guards(h) })
	a.writeMoves()
	a.keepState()
	a.walk()
	a.detach()
	a.restoreSysctls()
	a.deleteRules()
	a.deleteRoutes(func(r plan.Route) bool { return !a.leadsNowhere(r) })
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
	a.do(func() error { return a.keepMoves(next) }, func() error { return a.keepMoves(a.held) })
}

func (a *apply) addRoutes() {
	for _, r := range a.changes.AddRoutes {
		a.do(func() error { return a.rules.AddRoute(r) }, func() error {
			for _, old := range a.have.Routes {
				if sameRoutePlace(old, r) {
					return a.rules.AddRoute(old)
				}
			}
			return a.rules.DeleteRoute(r)
		})
	}
}

// sameRoutePlace tells whether adding one route replaces the other.
func sameRoutePlace(a, b plan.Route) bool {
	return a.Family == b.Family && a.Table == b.Table && a.Dst == b.Dst && a.Metric == b.Metric
}

func (a *apply) addRules() {
	for _, r := range a.changes.AddRules {
		a.do(func() error { return a.rules.AddRule(r) }, func() error { return a.rules.DeleteRule(r) })
	}
}

// translate puts the nftables table in the other one's place.
func (a *apply) translate() {
	if a.changes.Table {
		a.do(func() error { return nat.Write(a.plan.Table()) }, func() error { return nat.Write(a.have.Table) })
	}
}

func (a *apply) setSysctls() {
	for _, s := range a.changes.SetSysctls {
		old := a.have.Sysctls[s.Name]
		a.do(func() error { return host.SetSysctl(s.Name, s.Value) }, func() error { return host.SetSysctl(s.Name, old) })
	}
}

// fill puts the matches and classes into the maps. The hooks that arm cgroups
// are attached before the tree is looked through.
func (a *apply) fill() {
	a.attach(plan.Hook.Arms)
	if a.fresh {
		a.do(func() error { return a.instance.Publish(a.plan, a.table, a.scan) }, func() error { return nil })
		if a.older != nil {
			a.do(func() error { return a.instance.TakeOver(a.older) }, func() error { return a.instance.Undo(a.older) })
		}
		if a.inherits() {
			a.do(func() error { return a.instance.Inherit(a.older) }, func() error { return nil })
			a.do(func() error { return a.hold(false) }, func() error { return nil })
		}
	} else if a.publishes() {
		a.do(a.publish, a.instance.Retract)
	}
	a.giveBack()
}

// publishes tells whether the maps change: for another policy, or because
// cgroups may have been made that nothing armed.
func (a *apply) publishes() bool {
	return a.fresh || a.changes.Classes || !a.survey.facts.Arms || slices.ContainsFunc(a.changes.Attach, plan.Hook.Arms)
}

func (a *apply) publish() error {
	if err := a.instance.Prepare(a.plan, a.table, a.scan); err != nil {
		return err
	}
	if err := a.hold(true); err != nil {
		return err
	}
	return a.instance.Switch()
}

// scan finds the cgroups there are that a table names.
func (a *apply) scan(t *match.Table) (map[uint64]uint32, error) { return host.NamedCgroups(a.root, t) }

// guards tells whether a hook drops what a closed class must not send by an
// uplink that is new to an instance in force. It has to be there before a route
// is: IPv6 looks for a way a second time, with a source address, where the
// class's own rules have none, and then the uplink's rule comes before them.
func (a *apply) guards(h plan.Hook) bool {
	return !a.fresh && h.Program == plan.EgressProgram
}

// attach attaches those hooks of a kind that are missing.
func (a *apply) attach(which func(plan.Hook) bool) {
	for _, h := range a.changes.Attach {
		if !which(h) {
			continue
		}
		a.do(func() error { return a.attachOne(h) }, func() error {
			for _, old := range a.have.Hooks {
				if old.Pin == h.Pin {
					return a.instance.Attach(old)
				}
			}
			return a.instance.GiveBack(h)
		})
	}
}

func (a *apply) attachOne(h plan.Hook) error {
	err := a.instance.Attach(h)
	if err != nil {
		return blame(err)
	}
	return nil
}

// detach takes away hooks that the plan no longer has. Those that were only
// moved have been attached anew under the same pin.
func (a *apply) detach() {
	for _, h := range a.changes.Detach {
		if slices.ContainsFunc(a.plan.Hooks, func(want plan.Hook) bool { return want.Pin == h.Pin }) {
			continue
		}
		a.do(func() error { return a.instance.Detach(h) }, func() error { return a.instance.Attach(h) })
	}
}

// restoreSysctls gives back those that the plan no longer changes.
func (a *apply) restoreSysctls() {
	for name, before := range a.next.Sysctls {
		wanted := slices.ContainsFunc(a.plan.Sysctls, func(s plan.Sysctl) bool { return s.Name == name })
		now, exists := a.have.Sysctls[name]
		if wanted || !exists || now == before {
			continue
		}
		a.do(func() error { return host.SetSysctl(name, before) }, func() error { return host.SetSysctl(name, now) })
	}
}

func (a *apply) deleteRules() {
	for _, r := range a.changes.DeleteRules {
		a.do(func() error { return a.rules.DeleteRule(r) }, func() error { return a.rules.AddRule(r) })
	}
}

// deleteRoutes deletes those of a kind that the plan no longer has.
func (a *apply) deleteRoutes(which func(plan.Route) bool) {
	for _, r := range a.changes.DeleteRoutes {
		if !which(r) || slices.ContainsFunc(a.plan.Routes, func(want plan.Route) bool { return sameRoutePlace(want, r) }) {
			continue
		}
		a.do(func() error { return a.rules.DeleteRoute(r) }, func() error { return a.rules.AddRoute(r) })
	}
}
