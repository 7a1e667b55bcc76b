// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"math/rand/v2"
	"slices"
)

// spreadOf are a median and the quartiles around it.
type spreadOf struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// summary of some numbers; of none it is all NaN.
func summary(xs []float64) spreadOf {
	return spreadOf{quantile(xs, 0.5), quantile(xs, 0.25), quantile(xs, 0.75)}
}

func median(xs []float64) float64 { return quantile(xs, 0.5) }

// quantile is linear between the two nearest numbers.
func quantile(xs []float64, q float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(xs))
	place := q * float64(len(sorted)-1)
	below := int(place)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (place-float64(below))*(sorted[above]-sorted[below])
}

// pairwise applies f to the numbers of two series that were taken together.
func pairwise(a, b []float64, f func(x, y float64) float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = f(a[i], b[i])
	}
	return out
}

func difference(x, y float64) float64 { return x - y }
func mean(x, y float64) float64       { return (x + y) / 2 }
func ratio(x, y float64) float64      { return x / y }

// noise is by what part two series of the same differ: their median ratio,
// and the standard error of that median, as quartiles have it for a normal
// distribution.
func noise(a, b []float64) float64 {
	s := summary(pairwise(b, a, ratio))
	return math.Abs(s.Median-1) + 0.93*(s.High-s.Low)/math.Sqrt(float64(len(a)))
}

// interval is where a figure lies with 95 % confidence: the figure of as many
// turns, drawn anew from those that were taken, many times over (bootstrap).
func interval(turns int, figure func(pick []int) float64) (low, high float64) {
	const times = 1000
	draw, figures := rand.New(rand.NewPCG(1, 2)), make([]float64, times)
	pick := make([]int, turns)
	for i := range figures {
		for k := range pick {
			pick[k] = draw.IntN(turns)
		}
		figures[i] = figure(pick)
	}
	return quantile(figures, 0.025), quantile(figures, 0.975)
}

// medianOf is the median of the numbers that are picked.
func medianOf(xs []float64, pick []int) float64 {
	some := make([]float64, len(pick))
	for i, k := range pick {
		some[i] = xs[k%len(xs)]
	}
	return median(some)
}
