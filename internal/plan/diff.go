// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"maps"
	"slices"
)

// Kernel is what the kernel holds of ours.
type Kernel struct {
	Rules       []Rule            // those with our protocol number
	Routes      []Route           // those with our protocol number
	Table       Table             // our nftables table
	Sysctls     map[string]string // of the plan's names, those that exist
	Before      map[string]string // those of them that we changed, as they were
	Hooks       []Hook            // those that are attached and ours
	Fingerprint string            // of the plan whose matches and classes are in the maps; "" for none
}

// Changes is the difference between what the kernel holds and a plan.
type Changes struct {
	AddRules     []Rule   `json:"addRules,omitempty"`
	DeleteRules  []Rule   `json:"deleteRules,omitempty"`
	AddRoutes    []Route  `json:"addRoutes,omitempty"`
	DeleteRoutes []Route  `json:"deleteRoutes,omitempty"`
	Table        bool     `json:"table,omitempty"` // the nftables table is another
	SetSysctls   []Sysctl `json:"setSysctls,omitempty"`
	GiveBack     []Sysctl `json:"giveBack,omitempty"` // the plan no longer changes them
	Attach       []Hook   `json:"attach,omitempty"`
	Detach       []Hook   `json:"detach,omitempty"`
	Classes      bool     `json:"classes,omitempty"` // the maps' matches or classes are those of another plan
}

// Empty tells whether there is nothing to do.
func (c Changes) Empty() bool {
	return len(c.AddRules)+len(c.DeleteRules)+len(c.AddRoutes)+len(c.DeleteRoutes)+
		len(c.SetSysctls)+len(c.GiveBack)+len(c.Attach)+len(c.Detach) == 0 && !c.Classes && !c.Table
}

// Diff is what has to change in the kernel for it to hold the plan. Lists
// are in the order in which the loader works through them: what is added in
// the ladder's order, what is deleted against it.
func (p *Plan) Diff(have Kernel) Changes { return p.DiffOf(p.Fingerprint(), have) }

// DiffOf is Diff for who knows the plan's fingerprint: with many matches, it
// takes long to find.
func (p *Plan) DiffOf(fingerprint string, have Kernel) Changes {
	var c Changes
	c.AddRules, c.DeleteRules = difference(p.Rules, have.Rules, Rule.Key)
	c.AddRoutes, c.DeleteRoutes = difference(p.Routes, have.Routes, func(r Route) string { return r.String() })
	c.Table = !p.Table().equal(have.Table)
	slices.Reverse(c.DeleteRules)
	slices.Reverse(c.DeleteRoutes)
	for _, s := range p.Sysctls {
		if have.Sysctls[s.Name] != s.Value {
			c.SetSysctls = append(c.SetSysctls, s)
		}
	}
	c.GiveBack = p.givesBack(have)
	c.Attach, c.Detach = difference(p.Hooks, have.Hooks, Hook.key)
	c.Classes = have.Fingerprint != fingerprint
	return c
}

// givesBack are the sysctls that were changed and need not be any more, as they
// were: not one that somebody changed since.
func (p *Plan) givesBack(have Kernel) (all []Sysctl) {
	for _, name := range slices.Sorted(maps.Keys(have.Before)) {
		now, exists := have.Sysctls[name]
		wanted := slices.ContainsFunc(p.Sysctls, func(s Sysctl) bool { return s.Name == name })
		if before := have.Before[name]; exists && !wanted && now != before && Sets(name, now) {
			all = append(all, Sysctl{Name: name, Value: before, Why: "it was so before"})
		}
	}
	return all
}

// difference is what want has and have lacks, and the other way round.
// Equal elements count one by one.
func difference[T any, K comparable](want, have []T, key func(T) K) (add, remove []T) {
	left := map[K]int{}
	for _, h := range have {
		left[key(h)]++
	}
	for _, w := range want {
		if left[key(w)] > 0 {
			left[key(w)]--
		} else {
			add = append(add, w)
		}
	}
	for _, h := range have {
		if left[key(h)] > 0 {
			left[key(h)]--
			remove = append(remove, h)
		}
	}
	return add, remove
}
