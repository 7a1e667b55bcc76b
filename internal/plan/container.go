// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"path"
	"strings"

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
		if c.Holds(k.Identity) {
			cgroups = append(cgroups, k.Cgroups...)
		}
	}
	if cgroups != nil {
		return highest(cgroups)
	}
	m.wait("no container is %s yet: its match takes nothing", c)
	return []match.Cgroup{{}}
}

// highest leaves out what is below another: a pod's cgroup is that of all of
// its containers, of those to come as well.
func highest(cgroups []match.Cgroup) (out []match.Cgroup) {
	tops := map[string]bool{}
	for _, g := range cgroups {
		if g.Unit == "" {
			tops[g.Path] = true
		}
	}
	for _, g := range cgroups {
		below := false
		for dir := path.Dir(g.Path); g.Unit == "" && dir != "." && dir != "/" && !below; dir = path.Dir(dir) {
			below = tops[dir]
		}
		if !below {
			out = append(out, g)
		}
	}
	return out
}

// named are the containers that a match names, in words.
func (m *maker) named(source *classes.Match) (names []string) {
	for _, k := range m.facts.Containers {
		for _, c := range source.Container {
			if c.Holds(k.Identity) {
				names = append(names, k.String())
				break
			}
		}
	}
	return names
}

// String is the container as people know it: web (0123456789ab),
// shop/web-0/nginx (0123456789ab), or shop/web-0 (0123456789ab) for a pod.
func (k Container) String() string {
	var said []string
	for _, part := range []string{k.Namespace, k.Pod, k.Name} {
		if part != "" {
			said = append(said, part)
		}
	}
	return fmt.Sprintf("%s (%.12s)", strings.Join(said, "/"), k.ID)
}
