// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"

	"waymark/classes"
	"waymark/internal/match"
)

// containers are the cgroups of those that c names. Where there is none, it
// is the cgroup that none is: the match takes nothing, and waits.
func (m *maker) containers(c classes.Container) (cgroups []match.Cgroup) {
	for _, mute := range m.facts.Mute {
		m.wait("%s", mute)
	}
	for _, k := range m.facts.Containers {
		if c.Holds(k.Name, k.Namespace, k.Labels) {
			cgroups = append(cgroups, k.Cgroups...)
		}
	}
	if cgroups != nil {
		return cgroups
	}
	m.wait("no container is %s yet: its match takes nothing", c)
	return []match.Cgroup{{}}
}

// named are the containers that a match names, in words.
func (m *maker) named(source *classes.Match) (names []string) {
	for _, k := range m.facts.Containers {
		for _, c := range source.Container {
			if c.Holds(k.Name, k.Namespace, k.Labels) {
				names = append(names, k.String())
				break
			}
		}
	}
	return names
}

// String is the container as people know it: shop/web (0123456789ab).
func (k Container) String() string {
	name := k.Name
	if k.Namespace != "" {
		name = k.Namespace + "/" + name
	}
	return fmt.Sprintf("%s (%.12s)", name, k.ID)
}
