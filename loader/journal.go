// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"waymark/bpf"
	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/plan"
)

// A change is written down before its first step and crossed out after its
// last: the state says what the kernel is on its way to, and back, until the
// new plan is in force, and forward from then on. So a process may be killed
// anywhere.

// next is the state that a change leads to. One that only mends what the
// kernel holds of the policy in force keeps that state's number and all that
// was said about it.
func (l *Loader) next(want wanted, w *survey) (*State, error) {
	s := &State{Format: stateFormat, Object: bpf.ObjectID(), Fingerprint: w.fingerprint, Numbers: w.plan.Numbers,
		Sysctls: map[string]string{}, CgroupRoot: l.root, Hooks: w.plan.Hooks, Overrides: w.overrides, Containers: w.facts.Containers, Users: w.facts.Users,
		Settings: datapath.SettingsFor(w.plan, w.cookie),
		Number:   1, Author: l.options.Author, Applied: time.Now().UTC().Truncate(time.Second)}
	s.Usable, s.Withdrawn = standing(w.plan)
	if err := s.say(want); err != nil {
		return nil, err
	}
	if w.state == nil {
		s.Change = firstChange(want)
	} else {
		maps.Copy(s.Sysctls, w.state.Sysctls)
		if !w.fresh {
			s.Settings = w.state.Settings
		}
		if err := s.follow(w.state, want); err != nil {
			return nil, err
		}
	}
	for _, sysctl := range w.changes.SetSysctls {
		if _, changed := s.Sysctls[sysctl.Name]; !changed {
			s.Sysctls[sysctl.Name] = w.have.Sysctls[sysctl.Name]
		}
	}
	if want.trial > 0 && (s.Trial != nil || w.state == nil || s.Number != w.state.Number) {
		s.try(want.trial, w.state)
	}
	return s, nil
}

// standing is which uplinks can be used, and which are withdrawn, as a state has
// them.
func standing(p *plan.Plan) (usable []string, withdrawn map[string]string) {
	usable = []string{}
	for _, u := range p.Uplinks {
		if u.Usable() {
			usable = append(usable, u.Name)
		}
		if u.Withdrawn != "" {
			if withdrawn == nil {
				withdrawn = map[string]string{}
			}
			withdrawn[u.Name] = u.Withdrawn
		}
	}
	return usable, withdrawn
}

// stands tells whether the uplinks, the users and the next hops that are remembered
// are as the state in force has them: that of an older binary has no users.
func (w *survey) stands() bool {
	usable, withdrawn := standing(w.plan)
	return slices.Equal(usable, w.state.Usable) && maps.Equal(withdrawn, w.state.Withdrawn) && maps.Equal(w.facts.Users, w.state.Users) &&
		maps.EqualFunc(w.plan.Numbers.Gateways, w.state.Numbers.Gateways, maps.Equal)
}

// say gives the state the policy that is wanted.
func (s *State) say(want wanted) (err error) {
	if want.text == nil {
		want.write()
	}
	outline := want.outline()
	s.text, s.Outline = want.text, &outline
	s.Digest, err = s.text.digest()
	return err
}

// follow gives the state its place after the one before.
func (s *State) follow(before *State, want wanted) error {
	if s.same(before) {
		s.Number, s.Author, s.Change, s.Applied, s.Trial, s.Lapsed = before.Number, before.Author, before.Change, before.Applied, before.Trial, before.Lapsed
		return nil
	}
	if before.Trial != nil && want.back == 0 {
		return &OnTrial{*before.Trial, before.Number}
	}
	if want.why != "" {
		s.Lapsed = before.Number
	}
	s.Number = before.Number + 1
	s.Change = changeFrom(before, s, want)
	return nil
}

// follows tells whether there was no down between a state and this one, or it is the same.
func (s *State) follows(before *State) bool {
	return s.Number > before.Number || s.Number == before.Number && s.Applied.Equal(before.Applied)
}

// same tells whether two states are of one policy, to the letter.
func (s *State) same(other *State) bool {
	mine, err := s.digest()
	theirs, otherErr := other.digest()
	return s.CgroupRoot == other.CgroupRoot && errors.Join(err, otherErr) == nil && mine == theirs
}

// settled tells whether there is nothing to do to reach a state.
func (w *survey) settled(next *State) bool {
	return w.changes.Empty() && w.facts.Arms && w.state != nil && w.state.Unfinished == "" && next.same(w.state) &&
		next.Trial == w.state.Trial && sameOverrides(next.Overrides, w.state.Overrides) && w.stands()
}

// journal writes down what is about to be changed. Its undoing comes last of
// all, and only if all other steps could be undone.
func (a *apply) journal() {
	if a.fresh {
		a.older, a.instance = a.instance, nil
		a.do(a.create, func() error { return discard(a.instance.Dir()) })
		return
	}
	pending := *a.state
	pending.Unfinished, pending.Sysctls = applying, a.next.Sysctls
	pending.Numbers = a.state.Numbers.With(a.plan.Numbers)
	a.do(func() error {
		if a.next.Number != a.state.Number {
			if err := datapath.KeepState(a.instance.Dir(), a.instance.Dir(), a.state.Number); err != nil {
				return err
			}
		}
		return a.writeState(pending)
	}, func() error {
		if err := a.writeState(*a.state); err != nil || a.next.Number == a.state.Number {
			return err
		}
		return datapath.ForgetKept(a.instance.Dir(), a.state.Number)
	})
}

// create makes the maps of a fresh instance, empty, beside the one there is,
// with all the states that were.
func (a *apply) create() (err error) {
	dir, err := a.dir()
	if err != nil {
		return err
	}
	if a.instance, err = datapath.Create(dir+newSuffix, a.next.Settings); err != nil {
		return blame(err)
	}
	if err = a.inherit(dir); err == nil {
		pending := *a.next
		pending.Unfinished = applying
		if a.state != nil {
			pending.Usable = a.state.Usable
		}
		err = a.writeState(pending)
	}
	if err != nil {
		_ = discard(a.instance.Dir()) // the next command does it otherwise
	}
	return err
}

// inherit keeps in the fresh instance what the older one kept, and the
// older one's own state.
func (a *apply) inherit(dir string) error {
	if a.state == nil {
		return nil
	}
	if err := datapath.KeepKept(dir, a.instance.Dir()); err != nil || a.next.Number == a.state.Number {
		return err
	}
	return datapath.KeepState(dir, a.instance.Dir(), a.state.Number)
}

// keepState puts the new plan in force: what is interrupted from here on is
// finished, and no longer undone.
func (a *apply) keepState() {
	if !a.fresh {
		pending := *a.next
		pending.Unfinished, pending.Usable = applying, a.state.Usable
		before := *a.state
		before.Unfinished = applying
		before.Sysctls, before.Numbers = a.next.Sysctls, a.state.Numbers.With(a.plan.Numbers)
		a.do(func() error { return a.writeState(pending) }, func() error { return a.writeState(before) })
		return
	}
	dir, err := a.dir()
	if err != nil {
		a.err = err
		return
	}
	if a.older != nil {
		a.do(func() error { return a.instance.Carry(a.older) }, func() error { return nil })
	}
	a.do(func() error { return a.rename(dir) }, func() error { return a.unrename(dir) })
}

// rename gives a fresh instance its name. The older one keeps another, and
// its hooks, until nothing can fail any more.
func (a *apply) rename(dir string) error {
	if err := os.Rename(dir, dir+oldSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return a.instance.Rename(dir)
}

func (a *apply) unrename(dir string) error {
	if err := a.instance.Rename(dir + newSuffix); err != nil {
		return err
	}
	if err := os.Rename(dir+oldSuffix, dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// settle takes the older instance away, crosses the change out, and forgets
// the states that are too old.
func (a *apply) settle() error {
	dir := a.instance.Dir()
	if err := handOver(dir); err != nil {
		return err
	}
	if a.older != nil {
		if err := a.instance.PutClasses(a.plan); err != nil {
			return err
		}
	}
	if a.publishes() {
		if err := a.instance.Retire(); err != nil {
			return err
		}
	}
	if err := a.instance.ForgetNumbers(a.plan); err != nil {
		return err
	}
	if a.trial > 0 && a.next.Trial != nil {
		a.next.Trial.Until = host.SinceBoot() + a.trial // its time begins now
	}
	a.forgetSysctls()
	if err := a.writeState(*a.next); err != nil {
		return err
	}
	return prune(dir, a.next.Number)
}

func (a *apply) writeState(s State) error { return writeState(a.instance.Dir(), s) }

func writeState(dir string, s State) error {
	raw, err := s.encode()
	if err != nil {
		return err
	}
	return datapath.WriteState(dir, raw)
}

// try makes the state one that goes back by itself.
func (s *State) try(d time.Duration, before *State) {
	back := 0
	switch {
	case s.Trial != nil:
		back = s.Trial.Back
	case before != nil:
		back = before.Number
	}
	s.Trial = &Trial{Until: host.SinceBoot() + d, Back: back}
}
