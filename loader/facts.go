// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"maps"
	"slices"
	"sync"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/match"
	"waymark/internal/nat"
	"waymark/internal/plan"
)

const anyLevel = match.AnyLevel

// routeFromRA is RTPROT_RA, what the kernel's own handling of router
// advertisements writes on its routes.
const routeFromRA = 9

// facts gathers what the host is, as far as the policy asks, but for what
// its kernel can do for cgroups that are made.
func (l *Loader) facts(want wanted, overrides []Override, state *State) (f plan.Facts, err error) {
	policy := want.policy
	var interfaces []string
	for _, u := range policy.Uplinks {
		interfaces = append(interfaces, u.Interface)
	}
	named := namesIn(policy, overrides)
	f.Users, f.Gone = l.users(named.users, want, overrides, state)
	l.containers(policy, named.containers, state, &f)
	if f.Links, err = host.Links(append(slices.Clone(interfaces), named.interfaces...)); err != nil {
		return f, err
	}
	if f.Inner, err = host.Inner(); err != nil {
		return f, err
	}
	if f.Own, err = host.Addresses(); err != nil {
		return f, err
	}
	f.Places = places(l.root, policy.Classes)
	if f.Rules, err = l.rules.Rules(); err != nil {
		return f, err
	}
	if f.Routes, err = l.rules.Routes(); err != nil {
		return f, err
	}
	for _, r := range f.Routes {
		f.Advertised = f.Advertised || r.Protocol == routeFromRA && r.Family == plan.IPv6 && r.IsDefault()
	}
	if f.Silent, err = datapath.Silent(); err != nil {
		return f, err
	}
	names := plan.SysctlNames(interfaces)
	if state != nil {
		f.Changed, f.Before = slices.Collect(maps.Keys(state.Sysctls)), state.Sysctls
		names = append(names, f.Changed...)
	}
	if f.InUse, err = l.inUse(want); err != nil {
		return f, err
	}
	if f.Sysctls, err = host.Sysctls(names); err != nil {
		return f, err
	}
	f.Tracks = f.Forwards() && tracks()
	return f, nil
}

// tracks asks the kernel once.
var tracks = sync.OnceValue(nat.Tracks)

// names are what matches name of this host.
type names struct {
	users, interfaces []string
	containers        []classes.Container
}

// namesIn goes through all matches once: there can be a hundred thousand.
func namesIn(policy *classes.Policy, overrides []Override) (n names) {
	policy.AllMatches(func(m *classes.Match) {
		n.add(m)
		n.interfaces = append(n.interfaces, m.IIF...)
	})
	for i := range overrides {
		n.add(&overrides[i].Match)
	}
	return n
}

func (n *names) add(m *classes.Match) {
	n.users = append(n.users, usersIn(m)...)
	n.containers = append(n.containers, m.Container...)
}

func usersIn(m *classes.Match) (names []string) {
	add := func(u *classes.User) {
		if u != nil && u.Name != "" {
			names = append(names, u.Name)
		}
	}
	for i := range m.UID {
		add(&m.UID[i])
	}
	for _, u := range m.Unit {
		add(u.User)
	}
	return names
}
