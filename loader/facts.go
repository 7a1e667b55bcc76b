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
func (l *Loader) facts(policy *classes.Policy, overrides []Override, state *State) (f plan.Facts, err error) {
	var interfaces, listened []string
	for _, u := range policy.Uplinks {
		interfaces = append(interfaces, u.Interface)
	}
	policy.AllMatches(func(m *classes.Match) { listened = append(listened, m.IIF...) })
	f.Users = host.Users(append(userNames(policy), movedUsers(overrides)...))
	l.containers(policy, containersIn(policy, overrides), state, &f)
	if f.Links, err = host.Links(append(slices.Clone(interfaces), listened...)); err != nil {
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
		f.Changed = slices.Collect(maps.Keys(state.Sysctls))
		names = append(names, f.Changed...)
	}
	if f.InUse, err = host.SocketMarks(); err != nil {
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

// userNames are those that a policy's matches name.
func userNames(policy *classes.Policy) (names []string) {
	policy.AllMatches(func(m *classes.Match) { names = append(names, usersIn(m)...) })
	return names
}

func movedUsers(overrides []Override) (names []string) {
	for i := range overrides {
		names = append(names, usersIn(&overrides[i].Match)...)
	}
	return names
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
