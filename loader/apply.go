// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"waymark/bpf"
	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/match"
	"waymark/internal/plan"
)

// Apply brings the kernel to the policy's plan: tables, rules, sysctls, map
// contents, hooks; then it removes what the plan no longer has, the other
// way round. When a step fails, all is put back as it was. Nothing to change
// is no error. Errors are those of Plan, *datapath.Unsupported, or the
// kernel's.
func (l *Loader) Apply(policy *classes.Policy) (*Applied, error) {
	held, err := l.lock()
	if err != nil {
		return nil, err
	}
	defer held.release()
	if err := l.recover(); err != nil {
		return nil, err
	}
	w, err := l.survey(policy)
	if err != nil {
		return nil, err
	}
	defer w.close()
	if w.conflict != nil {
		return nil, w.conflict
	}
	if w.changes.Empty() && w.facts.Arms {
		return &Applied{Plan: w.plan}, nil
	}
	a := &apply{Loader: l, survey: w, files: policy.Files()}
	if err := a.run(); err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	return &Applied{Plan: w.plan, Changes: w.changes, Walked: a.walked}, nil
}

// Applied is what an apply did.
type Applied struct {
	Plan    *plan.Plan
	Changes plan.Changes
	Walked  datapath.Walked
}

// apply is one change of the kernel.
type apply struct {
	*Loader
	*survey
	steps
	files    []classes.File
	original map[string]string  // sysctls we changed, with their values before the first apply
	older    *datapath.Instance // the instance that a fresh one takes over from; nil for none
	walked   datapath.Walked
}

func (a *apply) run() error {
	a.original = map[string]string{}
	if a.state != nil {
		maps.Copy(a.original, a.state.Sysctls)
	}
	a.create() // nobody sees it yet, and what this kernel lacks shows here
	a.addRoutes()
	a.addRules()
	a.remember()
	a.setSysctls()
	a.fill()
	a.attach(func(h plan.Hook) bool { return !h.Arms() })
	a.walk()
	a.keepState()
	a.detach()
	a.restoreSysctls()
	a.deleteRules()
	a.deleteRoutes()
	if a.older != nil {
		defer a.older.Close()
	}
	if err := a.finish(); err != nil {
		return err
	}
	if a.older != nil {
		if err := a.instance.PutClasses(a.plan); err != nil {
			return err
		}
	}
	return a.instance.Retire(a.plan)
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
		a.do(a.publish, func() error { return nil })
		if a.older != nil {
			a.do(func() error { return a.instance.TakeOver(a.older) }, func() error { return a.instance.Undo(a.older) })
		}
	} else if a.publishes() {
		a.do(a.publish, a.instance.Retract)
	}
}

// publishes tells whether the maps change: for another policy, or because
// cgroups may have been made that nothing armed.
func (a *apply) publishes() bool {
	return a.fresh || a.changes.Classes || !a.survey.facts.Arms || slices.ContainsFunc(a.changes.Attach, plan.Hook.Arms)
}

func (a *apply) publish() error {
	return a.instance.Publish(a.plan, a.top, func(t *match.Table) (map[uint64]uint32, error) {
		return host.NamedCgroups(a.root, t)
	})
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
			if a.fresh || !a.state.current() {
				return nil // the directory goes, or an old program stays updated
			}
			return a.instance.Detach(h)
		})
	}
}

// walk classes the sockets that are open already, now that new ones are. A
// mark on a socket means nothing once its rules are gone, so there is
// nothing to undo.
func (a *apply) walk() {
	if !a.publishes() {
		return
	}
	a.do(func() (err error) {
		a.walked, err = a.instance.Walk()
		return err
	}, func() error { return nil })
}

func (a *apply) attachOne(h plan.Hook) error {
	err := a.instance.Attach(h)
	if err != nil {
		return blame(err)
	}
	return nil
}

// keepState writes down what is applied now, and gives a fresh instance its
// name: from there on the new plan is in force.
func (a *apply) keepState() {
	dir, err := a.dir()
	if err != nil {
		a.err = err
		return
	}
	fresh := State{Format: stateFormat, Object: bpf.ObjectID(), Fingerprint: a.plan.Fingerprint(),
		Numbers: a.plan.Numbers, Sysctls: a.original, CgroupRoot: a.root, Applied: time.Now().UTC().Truncate(time.Second), Files: a.files, Hooks: a.plan.Hooks}
	if a.fresh {
		fresh.Settings = datapath.SettingsFor(a.plan, a.cookie)
	} else {
		fresh.Settings = a.state.Settings
	}
	a.do(func() error { return a.writeState(&fresh) }, func() error {
		if a.fresh {
			return nil
		}
		return a.writeState(a.state)
	})
	if a.fresh {
		a.do(func() error { return a.rename(dir) }, func() error { return a.unrename(dir) })
	}
}

func (a *apply) writeState(s *State) error {
	raw, err := s.encode()
	if err != nil {
		return err
	}
	return a.instance.WriteState(raw)
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
	for name, before := range a.original {
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

func (a *apply) deleteRoutes() {
	for _, r := range a.changes.DeleteRoutes {
		if slices.ContainsFunc(a.plan.Routes, func(want plan.Route) bool { return sameRoutePlace(want, r) }) {
			continue
		}
		a.do(func() error { return a.rules.DeleteRoute(r) }, func() error { return a.rules.AddRoute(r) })
	}
}
