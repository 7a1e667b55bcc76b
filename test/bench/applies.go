// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"time"
)

// applyTimes are medians of what an apply took, of a process that does
// nothing else.
type applyTimes struct {
	Policy      string        `json:"policy"`
	Rules       int           `json:"rules"`
	Form        form          `json:"form"`
	Fresh       time.Duration `json:"fresh"`       // from nothing, all told
	FreshRead   time.Duration `json:"freshRead"`   // of that, reading the text
	FreshApply  time.Duration `json:"freshApply"`  // of that, the rest
	Change      time.Duration `json:"change"`      // of one rule, all told
	ChangeRead  time.Duration `json:"changeRead"`  //
	ChangeApply time.Duration `json:"changeApply"` //
}

// timeApplies applies a policy from nothing, and with one rule changed and
// changed back, so many times each. The policy is in force afterwards.
func timeApplies(ctx context.Context, i *instance, p policy, times int) (t applyTimes, err error) {
	t = applyTimes{Policy: p.String(), Rules: len(p.rules), Form: p.form}
	uplinks := uplinksOf(i.lab)
	text, changed := p.yaml(uplinks), p.changed().yaml(uplinks)
	var fresh, change []applied
	for range times {
		if err := i.down(); err != nil {
			return t, err
		}
		a, err := i.apply(ctx, text)
		if err != nil {
			return t, err
		}
		fresh = append(fresh, a)
		for _, other := range []string{changed, text} {
			if a, err = i.apply(ctx, other); err != nil {
				return t, err
			}
			change = append(change, a)
		}
	}
	t.Fresh, t.FreshRead, t.FreshApply = medians(fresh)
	t.Change, t.ChangeRead, t.ChangeApply = medians(change)
	return t, nil
}

// changed is the policy with another rule in the middle.
func (p policy) changed() policy {
	p.rules = slices.Clone(p.rules)
	middle := len(p.rules) / 2
	p.rules[middle] = tuple(p.rules[middle].way, mostRules)
	return p
}

func medians(all []applied) (total, read, apply time.Duration) {
	pick := func(of func(applied) time.Duration) time.Duration {
		var xs []float64
		for _, a := range all {
			xs = append(xs, float64(of(a)))
		}
		return time.Duration(median(xs))
	}
	return pick(func(a applied) time.Duration { return a.Total }),
		pick(func(a applied) time.Duration { return a.Read }), pick(func(a applied) time.Duration { return a.Apply })
}
