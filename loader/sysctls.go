// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"io/fs"
	"maps"
	"slices"

	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/plan"
)

// remembered is how the sysctls were before the first apply, as far as any
// state in these directories says; known is false if none does.
func remembered(places []string) (before map[string]string, known bool) {
	before = map[string]string{}
	for _, dir := range places {
		for _, s := range states(dir) {
			known = true
			before = union(before, s.Sysctls)
		}
	}
	return before, known
}

// states are the readable states of an instance: the one in force, or else
// the one that was before it.
func states(dir string) (all []*State) {
	if s, err := readState(dir); err == nil {
		return []*State{s}
	}
	numbers, _ := datapath.Kept(dir)
	for _, n := range slices.Backward(numbers) {
		if s, err := readKept(dir, n); err == nil {
			return []*State{s}
		}
	}
	return nil
}

// restore puts back every value that is still the one a plan sets.
func restore(before map[string]string) (n int, err error) {
	now, err := host.Sysctls(slices.Collect(maps.Keys(before)))
	if err != nil {
		return 0, err
	}
	for name, old := range before {
		current, exists := now[name]
		if !exists || current == old || !plan.Sets(name, current) {
			continue
		}
		if err := setSysctl(name, old); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// suspects are the sysctls that an apply may have set, on the interfaces
// that our routes leave by, as "NAME is VALUE".
func (l *Loader) suspects() (found []string, err error) {
	routes, err := l.rules.Routes()
	if err != nil {
		return nil, err
	}
	var interfaces []string
	for _, r := range routes {
		for _, h := range r.Hops {
			if r.Protocol == plan.Protocol && !slices.Contains(interfaces, h.Interface) {
				interfaces = append(interfaces, h.Interface)
			}
		}
	}
	now, err := host.Sysctls(plan.SysctlNames(interfaces))
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if !plan.OnlyRead(name) && plan.Sets(name, now[name]) {
			found = append(found, name+" is "+now[name])
		}
	}
	return found, err
}

// otherSysctls are those that are neither set before the rules, nor restored
// behind them. Reverse path filters are: a strict one would drop what comes in
// while the rules lead elsewhere.
func otherSysctls(name string) bool { return !plan.FiltersReverse(name) }

func (a *apply) setSysctls(which func(name string) bool) {
	for _, s := range a.changes.SetSysctls {
		if !which(s.Name) {
			continue
		}
		old := a.have.Sysctls[s.Name]
		a.do(func() error { return setSysctl(s.Name, s.Value) }, func() error { return setSysctl(s.Name, old) })
	}
}

// restoreSysctls gives back those that the plan no longer changes.
func (a *apply) restoreSysctls(which func(name string) bool) {
	for _, s := range a.changes.GiveBack {
		if !which(s.Name) {
			continue
		}
		now := a.have.Sysctls[s.Name]
		a.do(func() error { return setSysctl(s.Name, s.Value) }, func() error { return setSysctl(s.Name, now) })
	}
}

// forgetSysctls forgets how those were that were given back: what they are next
// is somebody's choice.
func (a *apply) forgetSysctls() {
	for _, s := range a.changes.GiveBack {
		delete(a.next.Sysctls, s.Name)
	}
}

// setSysctl has nothing to set at an interface that is gone by now.
func setSysctl(name, value string) error {
	if err := host.SetSysctl(name, value); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
