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
	"waymark/internal/match"
	"waymark/internal/plan"
)

// Healing is what there is to do, and who decides what of it is done now.
type Healing struct {
	// Maps says that somebody changed what is in the maps: they are filled
	// again. It is forgotten if another policy was applied meanwhile.
	Maps bool
	// Withdrawn are the uplinks that nothing is to be sent by, by name, with
	// the reason; nil: those that there are.
	Withdrawn map[string]string
	// Choose returns those of the changes to make now; nil: all.
	Choose func(*plan.Plan, plan.Changes) plan.Changes
}

// Healed is what was put back.
type Healed struct {
	Plan     *plan.Plan
	Policy   *classes.Policy
	Changes  plan.Changes
	Adopted  bool     // somebody applied a policy since the last time
	Filled   bool     // the maps were filled again
	Pinned   []string // names of maps, or of the state, whose pins were gone
	Conflict error    // a plan.Conflicts: somebody else took what the plan needs
	Covered  []string // rules of others that take packets before ours, in sentences
	Runtimes []string // sockets of the container runtimes whose containers are in it
	Unarmed  string   // directory whose cgroups nobody arms as they are made: ArmCgroups does; "" for none
	Walked   datapath.Walked
}

// Heal brings the kernel back to the policy that is applied, whoever applied
// it, as Apply would, and changes nothing that does not differ. What
// somebody else took is reported and no reason to leave the rest. An error
// that is fs.ErrNotExist says that nothing is applied.
func (l *Loader) Heal(do Healing) (*Healed, error) {
	dir, err := l.dir()
	if err != nil {
		return nil, err
	}
	if l.memory == nil && !exists(dir) {
		return nil, fs.ErrNotExist
	}
	held, err := l.begin()
	if err != nil {
		return nil, err
	}
	defer held.release()
	before := l.memory
	pinned, err := l.mend(dir)
	if err != nil {
		return nil, err
	}
	adopted := before != nil && l.memory != before
	do.Maps = do.Maps && !adopted
	h, err := l.heal(do, pinned)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New(err.Error()) // it is of something else: what is applied was there
	}
	if h != nil {
		h.Adopted = adopted
	}
	// What healing wrote itself is no news next time.
	if _, news := l.remember(dir); err == nil && !errors.Is(news, fs.ErrNotExist) {
		err = news
	}
	if err == nil && time.Since(l.listed.at) > relisted {
		_ = l.list() // for the next time, which may be in a hurry; the older list does, too
	}
	return h, err
}

func (l *Loader) heal(do Healing, pinned []string) (*Healed, error) {
	defer func(root string, top match.Root) { l.root, l.top = root, top }(l.root, l.top)
	if err := l.at(l.memory.state.CgroupRoot); err != nil {
		return nil, err
	}
	want := wanted{policy: l.memory.policy, withdrawn: do.Withdrawn, locked: true}
	w, err := l.survey(want)
	if err != nil {
		return nil, err
	}
	defer w.close()
	h := &Healed{Plan: w.plan, Policy: want.policy, Pinned: pinned, Conflict: w.conflict, Covered: w.plan.Covers(w.facts), Unarmed: w.unarmed(l.root)}
	if len(namesIn(want.policy, w.overrides).containers) > 0 {
		h.Runtimes = sockets(want.policy)
	}
	if do.Maps {
		w.changes.Classes = true
	}
	if !do.choose(w) || w.changes.Empty() && w.stands() {
		return h, nil
	}
	a := &apply{Loader: l, survey: w}
	if a.next, err = l.next(want, w); err != nil {
		return h, err
	}
	a.remain()
	if err := a.run(); err != nil {
		return h, fmt.Errorf("heal: %w", err)
	}
	h.Changes, h.Walked, h.Filled = w.changes, a.walked, a.publishes()
	return h, nil
}

// choose leaves of the changes what is to be made now, and tells whether any
// can be: an instance is made with all of its hooks or not at all.
func (do Healing) choose(w *survey) bool {
	if do.Choose == nil || w.changes.Empty() {
		return true
	}
	all := len(w.changes.Attach)
	w.changes = do.Choose(w.plan, w.changes)
	return !w.fresh || len(w.changes.Attach) == all
}

// remain has the next state say, of what is held back, what the kernel holds.
func (a *apply) remain() {
	if a.fresh {
		return
	}
	if !a.publishes() {
		a.next.Fingerprint = a.have.Fingerprint
	}
	a.next.Hooks = slices.Clone(a.next.Hooks)
	for k, h := range a.next.Hooks {
		same := func(other plan.Hook) bool { return other.Pin == h.Pin }
		if at := slices.IndexFunc(a.have.Hooks, same); at >= 0 && !slices.ContainsFunc(a.changes.Attach, same) {
			a.next.Hooks[k] = a.have.Hooks[at]
		}
	}
}
