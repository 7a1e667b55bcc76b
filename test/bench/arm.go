// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"waymark/internal/lab"
)

// arm is one way to class a host's traffic, on a host of its own.
type arm struct {
	name    string
	kind    classifier
	lab     *lab.Lab
	sink    *sink
	worker  *worker
	missing string        // why the arm stands aside, now
	setUp   time.Duration // what the last policy took to come in force
}

// classifier puts a policy in force on a host, in place of the one before.
type classifier interface {
	start(ctx context.Context, a *arm) error
	apply(ctx context.Context, a *arm, p policy, in paths) error
	end(a *arm) error
}

func newArm(ctx context.Context, name string, kind classifier) (a *arm, err error) {
	a = &arm{name: name, kind: kind}
	// The container is there for the sake of the program at its link.
	if a.lab, err = lab.New(lab.Options{Offload: true, Container: true}); err != nil {
		return nil, err
	}
	if a.sink, err = newSink(ctx, a.lab); err == nil {
		err = kind.start(ctx, a)
	}
	if err != nil {
		return nil, fmt.Errorf("arm %s: %w", name, errors.Join(err, a.close()))
	}
	return a, nil
}

// put brings a policy in force, and starts the worker anew in its cgroup.
// A policy that this arm cannot have makes the arm stand aside.
func (a *arm) put(ctx context.Context, p policy, shared *lab.Lab) error {
	if err := a.worker.close(); err != nil {
		return err
	}
	a.worker, a.missing = nil, ""
	if own := p.traffic(); own != "" {
		if _, err := a.lab.Cgroup(own); err != nil {
			return err
		}
	}
	start := time.Now()
	err := a.kind.apply(ctx, a, p, a.paths(p, shared))
	a.setUp = time.Since(start)
	var cannot unable
	if errors.As(err, &cannot) && ctx.Err() == nil {
		a.missing = cannot.Error()
		return nil
	}
	if err != nil {
		return fmt.Errorf("arm %s: %s: %w", a.name, p, err)
	}
	a.worker, err = startWorker(ctx, a.lab, p.traffic(), p.targets())
	return err
}

// unable says that a tool does not do what the arm needs.
type unable struct{ error }

// paths names the policy's cgroups for nft and iptables: the one with the
// traffic is the arm's own, the others are anybody's.
func (a *arm) paths(p policy, shared *lab.Lab) paths {
	own := p.cgroups() - 1
	return paths{
		level: strings.Count(a.lab.CgroupPath("x"), "/") + 1,
		path: func(i int) string {
			if i == own {
				return a.lab.CgroupPath(cgroupName(i))
			}
			return shared.CgroupPath(cgroupName(i))
		},
	}
}

// cgroupMount is where cgroup2 is mounted.
func (a *arm) cgroupMount() string { return filepath.Dir(a.lab.CgroupRoot()) }

func (a *arm) close() error {
	return errors.Join(a.worker.close(), a.kind.end(a), a.sink.close(), a.lab.Close())
}
