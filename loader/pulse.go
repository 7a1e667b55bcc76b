// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"

	"waymark/internal/datapath"
	"waymark/internal/host"
	"waymark/internal/nat"
	"waymark/internal/plan"
	"waymark/internal/rpdb"
)

// Pulse is what changes without a notice of the kernel, in digests that cost
// little to take once a second: each stays the same while nothing changes.
type Pulse struct {
	Host string // pins, hooks, the nftables table, sysctls, and the places of `exec`
	Maps string // which tables are in force; "" while nothing is applied
	// Applied says that the state is another than the one that Heal last saw, or
	// left itself.
	Applied bool
	// Damaged says that the other maps do not hold what the plan says.
	Damaged bool
}

// Pulse takes it for the plan that the kernel was last brought to.
func (l *Loader) Pulse(p *plan.Plan) (Pulse, error) {
	dir, err := l.dir()
	if err != nil {
		return Pulse{}, err
	}
	pulse := Pulse{Applied: l.stale(dir)}
	pulse.Host, err = datapath.Pins(dir)
	if err != nil || pulse.Host == "" || p == nil {
		return pulse, err
	}
	names := make([]string, len(p.Sysctls))
	for n, s := range p.Sysctls {
		names[n] = s.Name
	}
	values, err := host.Sysctls(names)
	if err != nil {
		return Pulse{}, err
	}
	translations, err := nat.Read()
	if err != nil {
		return Pulse{}, err
	}
	pulse.Host += fmt.Sprint(values, translations)
	if l.memory != nil {
		pulse.Host += fmt.Sprint(places(l.memory.state.CgroupRoot, l.memory.policy.Classes))
		// Damaged pins have changed the rest of the pulse already.
		if i, err := datapath.Open(dir, l.memory.state.Settings, datapath.Published...); err == nil {
			defer i.Close()
			holds, err := i.Holds(p)
			if err != nil {
				return pulse, err
			}
			pulse.Damaged = !holds
			pulse.Maps, err = i.Version()
			return pulse, err
		}
	}
	return pulse, nil
}

// stale tells whether the state is another than the remembered one.
func (l *Loader) stale(dir string) bool {
	version := uint64(0)
	if l.memory != nil {
		version = l.memory.version
	}
	return datapath.StateVersion(dir) != version
}

// Watch listens for changes of rules, routes, links, addresses and their
// settings that this loader does not make itself. Close it after use.
func (l *Loader) Watch() (*rpdb.Watch, error) { return l.rules.Watch() }

// Netns is the inode of the network namespace that the loader works on.
func (l *Loader) Netns() uint64 { return l.netns }
