// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"io/fs"
	"maps"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/plan"
	"waymark/internal/verify"
)

// Describe is what any policy's plan depends on of this host: all its
// interfaces, routes, rules and users, and what is remembered of the policy
// that is applied, if one is. Containers are those that this one names.
// Nothing is changed.
func (l *Loader) Describe() (*verify.Host, error) {
	policy, h := &classes.Policy{}, &verify.Host{}
	state, err := l.State()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		state = nil
	case err != nil:
		return nil, err
	default:
		if policy, err = state.Policy(); err != nil {
			return nil, err
		}
		l.root, h.Numbers = state.CgroupRoot, state.Numbers
	}
	h.CgroupRoot = l.root
	if h.Facts, err = l.facts(wanted{policy: policy}, nil, state); err != nil {
		return nil, err
	}
	h.Facts.Arms, h.Facts.Traces = datapath.CanArm(), datapath.Traces()
	return h, l.describeAll(&h.Facts)
}

// describeAll adds what the policy that is applied does not ask for, and
// another may.
func (l *Loader) describeAll(f *plan.Facts) error {
	interfaces, err := host.Interfaces()
	if err != nil {
		return err
	}
	var names []string
	for _, i := range interfaces {
		names = append(names, i.Name)
	}
	if f.Links, err = host.Links(names); err != nil {
		return err
	}
	users, err := host.LocalUsers()
	if err != nil {
		return err
	}
	maps.Copy(users, f.Users) // those of a directory service
	f.Users = users
	sysctls, err := host.Sysctls(plan.SysctlNames(names))
	if err != nil {
		return err
	}
	maps.Copy(sysctls, f.Sysctls)
	f.Sysctls = sysctls
	return nil
}
