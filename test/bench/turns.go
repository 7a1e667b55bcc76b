// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
)

// block is one job, measured on all arms in turn.
type block struct {
	Form  form      `json:"form"`
	Rules int       `json:"rules"`
	Job   string    `json:"job"`
	Noise float64   `json:"noise"` // of the two bare hosts
	Steal float64   `json:"steal"` // the part of the time that the hypervisor gave to others
	Turns int       `json:"turns"`
	Void  string    `json:"void,omitempty"` // why the figures mean nothing
	Arms  []armFigs `json:"arms"`           // the first two are the bare hosts
}

// armFigs are one arm's figures, nanoseconds an op; Added is over the mean of
// the bare hosts in the same turn.
type armFigs struct {
	Arm     string    `json:"arm"`
	Missing string    `json:"missing,omitempty"` // why there are none
	Op      spreadOf  `json:"op"`
	Added   spreadOf  `json:"added"`
	Ratio   spreadOf  `json:"ratio"` // of the time without the arm's doing to that with it: throughput, 1 is bare
	Turns   []float64 `json:"turns"`
	added   []float64
	ratio   []float64
}

// The bounds of noise, beyond which a measurement is void.
const (
	mostNoise = 0.015
	mostSteal = 0.005
)

// measure takes samples of all arms in turn, more of them while the bare
// hosts differ by too much, and if they still do at the end says that the
// figures are void. What the other arms show has no say in when it ends.
func measure(ctx context.Context, o options, p policy, job string, arms []*arm) (b block, err error) {
	before, turns := readSteal(), make([][]float64, len(arms))
	for taken := 0; taken < o.most; taken += o.rounds {
		for range o.rounds {
			if err := takeTurn(ctx, o, job, arms, turns); err != nil {
				return b, err
			}
		}
		b = newBlock(arms, turns)
		b.Form, b.Rules, b.Job, b.Steal = p.form, len(p.rules), job, readSteal().since(before)
		if b.judge(); b.Void == "" {
			break
		}
	}
	return b, nil
}

// takeTurn adds, for each arm, the nanoseconds an op of one turn, which goes
// through the arms there and back. The first and the last in this order follow
// themselves, with what they use still in the caches, which is some per cent of
// a new flow; so another is the first in each turn.
func takeTurn(ctx context.Context, o options, job string, arms []*arm, turns [][]float64) error {
	order := make([]int, len(arms))
	for k := range order {
		order[k] = (k + len(turns[0])) % len(arms)
	}
	there, err := halfTurn(ctx, o, job, arms, order)
	if err != nil {
		return err
	}
	slices.Reverse(order)
	back, err := halfTurn(ctx, o, job, arms, order)
	if err != nil {
		return err
	}
	for i := range arms {
		if arms[i].worker != nil {
			turns[i] = append(turns[i], mean(there[i], back[i]))
		}
	}
	return nil
}

func halfTurn(ctx context.Context, o options, job string, arms []*arm, order []int) ([]float64, error) {
	ns := make([]float64, len(arms))
	for _, i := range order {
		a := arms[i]
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if a.worker == nil {
			continue
		}
		var err error
		if ns[i], err = a.worker.sample(job, o.sample); err != nil {
			return nil, fmt.Errorf("arm %s: %w", a.name, err)
		}
	}
	return ns, nil
}

func newBlock(arms []*arm, turns [][]float64) (b block) {
	base := pairwise(turns[0], turns[1], mean)
	for i, a := range arms {
		f := armFigs{Arm: a.name, Missing: a.missing, Turns: turns[i]}
		if len(turns[i]) > 0 {
			f.added, f.ratio = pairwise(turns[i], base, difference), pairwise(base, turns[i], ratio)
			f.Op, f.Added, f.Ratio = summary(turns[i]), summary(f.added), summary(f.ratio)
		}
		b.Arms = append(b.Arms, f)
	}
	b.Noise, b.Turns = noise(turns[0], turns[1]), len(base)
	return b
}

func (b *block) judge() {
	switch {
	case b.Noise > mostNoise:
		b.Void = fmt.Sprintf("two bare hosts differ by %.1f %%", 100*b.Noise)
	case b.Steal > mostSteal:
		b.Void = fmt.Sprintf("%.1f %% of the time went to other machines", 100*b.Steal)
	}
}

// arm finds an arm's figures; nil if it has none.
func (b *block) arm(name string) *armFigs {
	for i := range b.Arms {
		if b.Arms[i].Arm == name && b.Arms[i].Missing == "" {
			return &b.Arms[i]
		}
	}
	return nil
}
