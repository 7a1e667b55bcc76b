// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/nat"
	"waymark/internal/plan"
)

// survey is a policy held against the kernel.
type survey struct {
	state    *State // of the last apply; nil before the first
	instance *datapath.Instance
	cookie   uint64
	facts    plan.Facts
	plan     *plan.Plan
	table    datapath.Compiled // of the plan
	conflict error             // a plan.Conflicts, or nil
	have     plan.Kernel
	changes  plan.Changes
	arming   datapath.Arming
	fresh    bool // the instance there is, if any, cannot carry the plan

	held        []Override // the overrides in force
	unread      error      // why some that were kept for the first apply are not; nil: they are
	overrides   []Override // that the plan was made with
	fingerprint string     // of the plan
}

func (w *survey) close() {
	if w.instance != nil {
		w.instance.Close()
	}
}

func (l *Loader) survey(want wanted) (*survey, error) {
	w := &survey{}
	var err error
	if w.cookie, err = host.NetnsCookie(); err != nil {
		return nil, blame(err)
	}
	dir, err := l.dir()
	if err != nil {
		return nil, err
	}
	if w.state, err = l.stateIn(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if want.text != nil {
		want.begin(w.state)
	}
	if w.state != nil && exists(dir) {
		if w.instance, err = w.state.open(dir); err != nil {
			return nil, err
		}
	}
	if err := w.compare(l, want); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// surveyApplied is the policy that is applied, held against the kernel. An
// error that is fs.ErrNotExist says that nothing is applied.
func (l *Loader) surveyApplied() (*survey, error) {
	policy, err := l.Applied()
	if err != nil {
		return nil, err
	}
	if err := l.at(l.root); err != nil {
		return nil, err
	}
	w, err := l.survey(wanted{policy: policy, looks: true, inForce: true})
	if err == nil && w.state == nil {
		w.close()
		return nil, fs.ErrNotExist
	}
	return w, err
}

func (w *survey) compare(l *Loader, want wanted) error {
	var err error
	if w.held, w.unread = l.inForce(w.state); w.state == nil {
		w.fit(want.policy)
	}
	w.overrides = want.overrides(w.held)
	if w.facts, err = l.facts(want, w.overrides, w.state); err != nil {
		return err
	}
	w.facts.Withdrawn = want.withdrawals(w.state)
	if w.instance != nil {
		w.facts.Arms, w.facts.Traces = w.instance.Arms(), w.instance.Traces()
	} else {
		w.facts.Traces = datapath.Traces()
	}
	w.facts.Arms = w.facts.Arms || datapath.CanArm()
	before := plan.Numbers{}
	if w.state != nil {
		before = w.state.Numbers
	}
	if want.looks && before.Mask == plan.Mask(want.policy.Mark.Mask) {
		w.keepBlocks(before)
	}
	if w.plan, w.conflict = w.make(l, want, before); w.plan == nil {
		return w.conflict
	}
	if err := w.numbered(l, want, before); err != nil || w.plan == nil {
		return errors.Join(err, w.conflict)
	}
	if w.unread != nil {
		w.plan.Notes = append(w.plan.Notes, strings.Split(w.unread.Error(), "\n")...)
	}
	w.table = datapath.Compile(w.plan, l.top)
	if want.text != nil && w.conflict == nil && !want.repeats(w.state) {
		// It takes as long as all that there is to do until it is needed.
		go func() { _, _ = w.table() }()
	}
	w.fresh = w.instance == nil || !w.state.current() || !w.state.Settings.Hold(w.plan, w.cookie)
	if w.have, err = l.holds(w); err != nil {
		return err
	}
	w.fingerprint = w.plan.Fingerprint()
	w.changes = w.plan.DiffOf(w.fingerprint, w.have)
	return w.checkArming()
}

// fit leaves out the moves of before the machine started of which the policy has
// lost the classes since: they are no reason to leave it unapplied.
func (w *survey) fit(policy *classes.Policy) {
	w.held = slices.DeleteFunc(w.held, func(o Override) bool {
		name := o.lacks(policy)
		if name != "" {
			w.unread = errors.Join(w.unread, fmt.Errorf("`%s` is not in force: the policy has no class %s any more: put the class back, or take the move back with `%s`", o.String(), name, o.Undo()))
		}
		return name != ""
	})
}

// make makes the plan. Without one the error says why; with one, what it
// would take from others.
func (w *survey) make(l *Loader, want wanted, before plan.Numbers) (*plan.Plan, error) {
	return plan.Make(want.policy, w.facts, before, plan.Options{CgroupRoot: l.root, Overrides: planned(w.overrides)})
}

// holds is what the kernel holds of ours. An instance of other programs, or
// one that cannot carry the plan, counts as having no hooks.
func (l *Loader) holds(w *survey) (plan.Kernel, error) {
	k := plan.Kernel{Sysctls: w.facts.Sysctls, Before: w.facts.Before}
	var err error
	if k.Table, err = nat.Read(); err != nil {
		return k, err
	}
	for _, r := range w.facts.Rules {
		if r.Protocol == plan.Protocol {
			k.Rules = append(k.Rules, r)
		}
	}
	for _, r := range w.facts.Routes {
		if r.Protocol == plan.Protocol {
			k.Routes = append(k.Routes, r)
		}
	}
	if w.fresh {
		return k, nil
	}
	if w.state.Unfinished == "" {
		k.Fingerprint = w.state.Fingerprint
	}
	k.Hooks, err = w.instance.Hooks(l.root)
	w.state.complete(k.Hooks)
	return k, err
}

// checkArming has the matches published again, with more room, if cgroups
// that were made found none.
func (w *survey) checkArming() error {
	if w.fresh {
		return nil
	}
	var err error
	if w.arming, err = w.instance.Arming(); err != nil {
		return err
	}
	w.changes.Classes = w.changes.Classes || w.arming.Failed > 0
	return nil
}
