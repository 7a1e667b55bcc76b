// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
)

// lookupTimes are what the kernel's route lookup took, with one class and
// with many.
type lookupTimes struct {
	Noise   float64  `json:"noise"`          // of one lookup, taken twice
	Void    string   `json:"void,omitempty"` // why the figures mean nothing
	Lookups []lookup `json:"lookups"`        // the first two are of one class
}

// lookup is a route lookup with one class's mark.
type lookup struct {
	Classes int       `json:"classes"`
	Class   string    `json:"class"`
	NS      spreadOf  `json:"ns"`
	Ratio   spreadOf  `json:"ratio"` // to the one with one class
	Turns   []float64 `json:"turns"`
	probe   *probe
}

// manyClassesHeld is a policy's footprint for one class and uplink.
type manyClassesHeld struct {
	Classes int     `json:"classes"`
	Uplinks int     `json:"uplinks"`
	Held    holding `json:"held"`
}

const (
	lookupClasses = 1000
	lookupRoutes  = 4
)

// measureLookups times route lookups on two hosts, of one class and of many
// over some routes, in turns.
func measureLookups(ctx context.Context, o options, r *report) (err error) {
	o.progress("route lookups")
	var all []lookup
	for _, n := range []int{1, lookupClasses} {
		h, err := newLookupHost(ctx, n)
		if err != nil {
			return fmt.Errorf("route lookup with %s classes: %w", grouped(n), err)
		}
		defer func() { err = errors.Join(err, h.close()) }()
		r.Classes = append(r.Classes, manyClassesHeld{Classes: n, Uplinks: lookupRoutes, Held: h.held})
		all = append(all, h.lookups...)
	}
	r.Lookups, err = takeLookups(ctx, o, all)
	return err
}

// takeLookups takes them all in turns, there and back.
func takeLookups(ctx context.Context, o options, all []lookup) (t lookupTimes, err error) {
	turns := make([][]float64, len(all))
	for range o.rounds {
		there, back := make([]float64, len(all)), make([]float64, len(all))
		for i := range all {
			if there[i], err = all[i].probe.time(o.repeat); err != nil {
				return t, err
			}
		}
		for i := len(all) - 1; i >= 0; i-- {
			if back[i], err = all[i].probe.time(o.repeat); err != nil {
				return t, err
			}
			turns[i] = append(turns[i], mean(there[i], back[i]))
		}
		if err := ctx.Err(); err != nil {
			return t, err
		}
	}
	one := pairwise(turns[0], turns[1], mean)
	for i, l := range all {
		l.Turns, l.NS, l.Ratio = turns[i], summary(turns[i]), summary(pairwise(turns[i], one, ratio))
		t.Lookups = append(t.Lookups, l)
	}
	if t.Noise = noise(turns[0], turns[1]); t.Noise > mostNoise {
		t.Void = fmt.Sprintf("one lookup, taken twice, differs by %.1f %%", 100*t.Noise)
	}
	return t, nil
}

// slowest is the slowest lookup of many classes.
func (t *lookupTimes) slowest() (l lookup) {
	for _, each := range t.Lookups {
		if each.Classes > 1 && each.Ratio.Median > l.Ratio.Median {
			l = each
		}
	}
	return l
}
