// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"waymark/classes"
	"waymark/internal/containers"
	"waymark/internal/host"
	"waymark/internal/match"
	"waymark/internal/plan"
)

// sockets are those of the runtimes that a policy means.
func sockets(policy *classes.Policy) []string {
	if policy.Runtimes.Sockets != nil {
		return policy.Runtimes.Sockets
	}
	return containers.Defaults
}

// containers asks the runtimes for the containers that somebody names. Those
// of a runtime that does not answer are as they were: it may be restarting,
// and what it had goes on running.
func (l *Loader) containers(policy *classes.Policy, named []classes.Container, state *State, f *plan.Facts) {
	if len(named) == 0 {
		return
	}
	for _, socket := range sockets(policy) {
		found, err := l.containersAt(socket, named)
		if err != nil && state != nil {
			for _, k := range state.Containers {
				if k.Socket == socket && holdsAny(named, k) {
					found = append(found, k)
				}
			}
		}
		if err != nil && (policy.Runtimes.Sockets != nil || !errors.Is(err, containers.Absent)) {
			f.Mute = append(f.Mute, err.Error())
		}
		f.Containers = append(f.Containers, found...)
	}
	slices.SortFunc(f.Containers, func(a, b plan.Container) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	if f.Containers == nil && f.Mute == nil {
		f.Mute = l.nobody(policy)
	}
}

// nobody says so where no runtime is at any of the usual places.
func (l *Loader) nobody(policy *classes.Policy) []string {
	for _, socket := range sockets(policy) {
		if _, err := os.Stat(socket); err == nil {
			return nil
		}
	}
	return []string{fmt.Sprintf("no container runtime is at %s: start it, or name its socket with `containers: {sockets: [unix://PATH]}`",
		strings.Join(sockets(policy), " or "))}
}

func holdsAny(named []classes.Container, k plan.Container) bool {
	return slices.ContainsFunc(named, func(c classes.Container) bool { return c.Holds(k.Name, k.Namespace, k.Labels) })
}

func (l *Loader) containersAt(socket string, named []classes.Container) (all []plan.Container, err error) {
	found, runtime, err := containers.Runtime{Socket: socket}.List(context.Background(), func(c containers.Container) bool {
		return holdsAny(named, plan.Container{Name: c.Name, Namespace: c.Namespace, Labels: c.Labels})
	})
	if err != nil {
		return nil, err
	}
	for _, c := range found {
		all = append(all, plan.Container{Socket: socket, ID: c.ID, Name: c.Name, Namespace: c.Namespace, Labels: c.Labels,
			Cgroups: l.cgroupsOf(c, runtime)})
	}
	return all, nil
}

// cgroupsOf is where a container is, by its process where it runs; and
// otherwise where its runtime will put it.
func (l *Loader) cgroupsOf(c containers.Container, runtime int) (cgroups []match.Cgroup) {
	if c.PID != 0 {
		if path := host.ContainerCgroup(l.root, c.PID, c.ID); path != "" {
			return match.Path(path)
		}
	}
	tree := host.CgroupTree(l.root, runtime)
	for _, g := range c.Cgroups {
		g.Path = path.Join(tree, g.Path)
		cgroups = append(cgroups, g)
	}
	return cgroups
}

// containersIn are those that matches name.
func containersIn(policy *classes.Policy, overrides []Override) (named []classes.Container) {
	policy.AllMatches(func(m classes.Match) { named = append(named, m.Container...) })
	for _, o := range overrides {
		named = append(named, o.Match.Container...)
	}
	return named
}

// Container is the cgroup of a container that runs, by its name, below the
// cgroup root.
func (l *Loader) Container(policy *classes.Policy, name string) (cgroup string, err error) {
	k, err := l.containerNamed(policy, name)
	if err != nil {
		return "", err
	}
	if len(k.Cgroups) != 1 || k.Cgroups[0].Unit != "" {
		return "", fmt.Errorf("find container %s: it does not run: start it, or name with --cgroup where it will be", name)
	}
	return k.Cgroups[0].Path, nil
}

func (l *Loader) containerNamed(policy *classes.Policy, name string) (k plan.Container, err error) {
	namespace, base, ok := strings.Cut(name, "/")
	if !ok {
		namespace, base = "", name
	}
	f := plan.Facts{}
	l.containers(policy, []classes.Container{{Name: base, Namespace: namespace}}, nil, &f)
	switch {
	case len(f.Containers) == 1:
		return f.Containers[0], nil
	case len(f.Containers) > 1:
		return k, fmt.Errorf("find container %s: %d have that name: %v", name, len(f.Containers), f.Containers)
	case len(f.Mute) > 0:
		return k, fmt.Errorf("find container %s: %s", name, strings.Join(f.Mute, "; "))
	}
	return k, fmt.Errorf("find container %s: no runtime at %s has it: `docker ps -a` lists Docker's", name, strings.Join(sockets(policy), " or "))
}
