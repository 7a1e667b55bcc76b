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
	"sync"
	"time"

	"waymark/classes"
	"waymark/internal/containers"
	"waymark/internal/host"
	"waymark/internal/match"
	"waymark/internal/plan"
)

// How long all runtimes together may take to answer: a command, which asks
// once; one who heals, for whom else there is something to do; and those that
// did not, for a while after it.
const (
	patience   = 3 * time.Second
	healing    = time.Second
	impatience = 100 * time.Millisecond
	aWhile     = 10 * time.Second
)

// sockets are those of the runtimes that a policy means.
func sockets(policy *classes.Policy) []string {
	if policy.Runtimes.Sockets != nil {
		return policy.Runtimes.Sockets
	}
	return containers.Defaults
}

// containers asks the runtimes, all at once, for the containers that somebody
// names. Those of a runtime that does not answer are as they were: it may be
// restarting, and what it had goes on running.
func (l *Loader) containers(policy *classes.Policy, named []classes.Container, state *State, f *plan.Facts) {
	if len(named) == 0 {
		return
	}
	var before []plan.Container
	if state != nil {
		before = state.Containers
	}
	for i, a := range l.ask(sockets(policy), named, before) {
		if socket := sockets(policy)[i]; a.err != nil {
			for _, k := range before {
				if k.Socket == socket && holdsAny(named, k.Identity) {
					a.found = append(a.found, k)
				}
			}
		}
		if a.err != nil && (policy.Runtimes.Sockets != nil || !errors.Is(a.err, containers.Absent)) {
			f.Mute = append(f.Mute, a.err.Error()+": what it had is taken to be as it was")
		}
		f.Containers = append(f.Containers, a.found...)
	}
	slices.SortFunc(f.Containers, func(a, b plan.Container) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	if f.Containers == nil && f.Mute == nil {
		f.Mute = l.nobody(policy)
	}
}

// answer is a runtime's.
type answer struct {
	found []plan.Container
	err   error
}

// ask asks runtimes at once. One that hung is not waited for again and again:
// what else there is to do and to heal is not to wait for it.
func (l *Loader) ask(sockets []string, named []classes.Container, before []plan.Container) []answer {
	answers := make([]answer, len(sockets))
	var asked sync.WaitGroup
	begun := time.Now()
	for i, socket := range sockets {
		patience := patience
		if l.memory != nil {
			patience = healing
		}
		if at, hung := l.hung[socket]; hung && begun.Sub(at) < aWhile {
			patience = impatience
		}
		asked.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			answers[i].found, answers[i].err = l.containersAt(ctx, socket, named, before)
		})
	}
	asked.Wait()
	for i, socket := range sockets {
		switch at := l.hung[socket]; {
		case !errors.Is(answers[i].err, containers.Silent):
			delete(l.hung, socket)
		case begun.Sub(at) >= aWhile:
			l.hung[socket] = begun
		}
	}
	return answers
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

func holdsAny(named []classes.Container, k classes.Identity) bool {
	return slices.ContainsFunc(named, func(c classes.Container) bool { return c.Holds(k) })
}

// containersAt are a runtime's. One that the runtime is busy with is where it was before.
func (l *Loader) containersAt(ctx context.Context, socket string, named []classes.Container, before []plan.Container) (all []plan.Container, err error) {
	found, runtime, err := containers.Runtime{Socket: socket}.List(ctx, func(k classes.Identity) bool { return holdsAny(named, k) })
	if err != nil {
		return nil, err
	}
	for _, c := range found {
		k := plan.Container{Socket: socket, ID: c.ID, Identity: c.Identity, Cgroups: l.cgroupsOf(c, runtime)}
		known := slices.IndexFunc(before, func(b plan.Container) bool { return b.Socket == socket && b.ID == c.ID })
		if c.Guessed && known >= 0 {
			k.Cgroups = before[known].Cgroups
		}
		all = append(all, k)
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
