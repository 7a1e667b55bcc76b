// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
)

// control measures what is not traffic.
func (s *suite) control(ctx context.Context, p policy) error {
	s.options.progress("%s: apply, memory, programs", p)
	t, err := timeApplies(ctx, s.waymark, p, s.options.applies)
	if err != nil {
		return err
	}
	held, err := s.waymark.held()
	if err != nil {
		return err
	}
	held.Policy, held.Rules, held.Form, held.Cgroups = p.String(), len(p.rules), p.form, p.cgroups()
	s.report.Applies, s.report.Memory = append(s.report.Applies, t), append(s.report.Memory, held)
	marks, err := s.waymark.apply(ctx, p.yaml(uplinksOf(s.waymark.lab)))
	if err != nil {
		return err
	}
	runs, err := runPrograms(s.options, s.waymark, p, marks.Marks[p.last().name])
	s.report.Programs = append(s.report.Programs, runs...)
	return err
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
