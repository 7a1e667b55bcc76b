// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	"waymark/internal/lab"
)

// suite is all arms, standing.
type suite struct {
	options options
	report  *report
	arms    []*arm
	waymark *instance
}

// measureAll builds the arms, measures every policy, and takes all away.
func measureAll(ctx context.Context, o options, r *report) (err error) {
	s := &suite{options: o, report: r}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.add(ctx, armBare, bare{}); err != nil {
		return err
	}
	if err := s.add(ctx, armBareAgain, bare{}); err != nil {
		return err
	}
	if o.telemetry {
		return measureTelemetry(ctx, o, r)
	}
	if err := s.alone(ctx); err != nil {
		return err
	}
	if err := measureTelemetry(ctx, o, r); err != nil {
		return err
	}
	if err := s.addOthers(ctx); err != nil {
		return err
	}
	for _, f := range o.forms {
		for _, n := range o.rules {
			if err := s.policy(ctx, newPolicy(f, n)); err != nil {
				return err
			}
		}
	}
	return measureLookups(ctx, o, r)
}

func (s *suite) add(ctx context.Context, name string, kind classifier) error {
	a, err := newArm(ctx, name, kind)
	if err == nil {
		s.arms = append(s.arms, a)
	}
	return err
}

// alone measures the bare hosts before any hook of ours is on the machine:
// the switches in the kernel's code that hooks turn on are global, and what
// they cost is in no arm's "added".
func (s *suite) alone(ctx context.Context) error {
	p := newPolicy(byCgroup, 1)
	for _, a := range s.arms {
		if err := a.put(ctx, p, s.shared()); err != nil {
			return err
		}
	}
	for _, job := range []string{datagrams, flows} {
		b, err := measure(ctx, s.options, p, job, s.arms)
		if err != nil {
			return err
		}
		s.report.Alone = append(s.report.Alone, b)
	}
	return nil
}

// shared is the laboratory whose cgroups nft and iptables name.
func (s *suite) shared() *lab.Lab { return s.arms[0].lab }

// policy measures all there is to measure about one policy.
func (s *suite) policy(ctx context.Context, p policy) error {
	s.options.progress("%s: set up", p)
	if err := s.makeCgroups(ctx, p); err != nil {
		return err
	}
	if err := s.control(ctx, p); err != nil {
		return err
	}
	took := setUps{Policy: p.String(), Form: p.form, Rules: len(p.rules)}
	for _, a := range s.arms {
		if err := a.put(ctx, p, s.shared()); err != nil {
			return err
		}
		took.Arms = append(took.Arms, setUp{a.name, a.setUp.Seconds(), a.missing})
	}
	s.report.SetUps = append(s.report.SetUps, took)
	for _, job := range []string{datagrams, unconnected, flows, connections, roundTrips, bulk} {
		if len(p.targets().TCP) == 0 && (job == connections || job == roundTrips || job == bulk) {
			continue
		}
		s.options.progress("%s: %s", p, job)
		b, err := measure(ctx, s.options, p, job, s.arms)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		s.report.Blocks = append(s.report.Blocks, b)
		if job != datagrams {
			continue
		}
		if err := s.checkClassed(ctx); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

// makeCgroups makes those that the policy names: for Waymark its own, for
// the others one set.
func (s *suite) makeCgroups(ctx context.Context, p policy) error {
	for i := range p.cgroups() {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, l := range []*lab.Lab{s.shared(), s.waymark.lab} {
			if _, err := l.Cgroup(cgroupName(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *suite) close() (err error) {
	for _, a := range s.arms {
		err = errors.Join(err, a.close())
	}
	return err
}
