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
	if err := s.alone(ctx); err != nil {
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
	took := setUps{Policy: p.String(), Form: p.form, Rules: len(p.rules)}
	for _, a := range s.arms {
		if err := a.put(ctx, p, s.shared()); err != nil {
			return err
		}
		took.Arms = append(took.Arms, setUp{a.name, a.setUp.Seconds(), a.missing})
	}
	s.report.SetUps = append(s.report.SetUps, took)
	if err := s.control(ctx, p); err != nil {
		return err
	}
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
		if err := s.checkClassed(ctx); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

// checkClassed makes sure that what was measured did what it is there for.
func (s *suite) checkClassed(ctx context.Context) error {
	for _, a := range s.arms {
		counter, ok := a.kind.(interface {
			classed(context.Context, *arm) (int, error)
		})
		if !ok || a.missing != "" {
			continue
		}
		n, err := counter.classed(ctx, a)
		if err == nil && n == 0 {
			err = errors.New("it put no packet in the traffic's class")
		}
		if err != nil {
			return fmt.Errorf("arm %s: %w", a.name, err)
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

// control measures what is not traffic.
func (s *suite) control(ctx context.Context, p policy) error {
	s.options.progress("%s: apply, memory, programs", p)
	t, err := timeApplies(ctx, s.waymark, p, s.options.applies)
	if err != nil {
		return err
	}
	s.report.Applies = append(s.report.Applies, t)
	held, err := s.waymark.held()
	if err != nil {
		return err
	}
	held.Policy, held.Rules, held.Form, held.Cgroups = p.String(), len(p.rules), p.form, p.cgroups()
	s.report.Memory = append(s.report.Memory, held)
	marks, err := s.waymark.apply(ctx, p.yaml(uplinksOf(s.waymark.lab)))
	if err != nil {
		return err
	}
	runs, err := runPrograms(s.options, s.waymark, p, marks.Marks[p.last().name])
	s.report.Programs = append(s.report.Programs, runs...)
	return err
}

func (s *suite) close() (err error) {
	for _, a := range s.arms {
		err = errors.Join(err, a.close())
	}
	return err
}
