// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"maps"
	"slices"

	"waymark/classes"
	"waymark/internal/host"
	"waymark/internal/match"
	"waymark/internal/plan"
)

const anyLevel = match.AnyLevel

// routeFromRA is RTPROT_RA, what the kernel's own handling of router
// advertisements writes on its routes.
const routeFromRA = 9

// facts gathers what the host is, as far as the policy asks.
func (l *Loader) facts(policy *classes.Policy, state *State) (f plan.Facts, err error) {
	var interfaces, listened, users, cgroups []string
	for _, u := range policy.Uplinks {
		interfaces = append(interfaces, u.Interface)
	}
	for _, c := range policy.Classes {
		for _, m := range c.Matches {
			listened = append(listened, m.IIF...)
			if m.Cgroup != "" {
				cgroups = append(cgroups, m.Cgroup)
			}
			for _, u := range m.UID {
				if u.Name != "" {
					users = append(users, u.Name)
				}
			}
		}
	}
	f.Users = host.Users(users)
	if f.Links, err = host.Links(append(slices.Clone(interfaces), listened...)); err != nil {
		return f, err
	}
	if f.Inner, err = host.Inner(); err != nil {
		return f, err
	}
	if f.Own, err = host.Addresses(); err != nil {
		return f, err
	}
	if f.Cgroups, err = host.Cgroups(l.root, cgroups); err != nil {
		return f, err
	}
	if f.Rules, err = l.rules.Rules(); err != nil {
		return f, err
	}
	if f.Routes, err = l.rules.Routes(); err != nil {
		return f, err
	}
	for _, r := range f.Routes {
		f.Advertised = f.Advertised || r.Protocol == routeFromRA && r.Family == plan.IPv6 && r.IsDefault()
	}
	names := plan.SysctlNames(interfaces)
	if state != nil {
		f.Changed = slices.Collect(maps.Keys(state.Sysctls))
		names = append(names, f.Changed...)
	}
	if f.InUse, err = host.SocketMarks(); err != nil {
		return f, err
	}
	f.Sysctls, err = host.Sysctls(names)
	return f, err
}
