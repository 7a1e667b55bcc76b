// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
)

// telemetryBlock is one job on one host, with all that is counted and without
// what can be switched off. Its programs at tracepoints run for the whole
// machine, so the two take turns: at any time one of them is there alone.
type telemetryBlock struct {
	Job   string    `json:"job"`
	With  []float64 `json:"with"`    // nanoseconds an op, by turn
	Bare  []float64 `json:"without"` // the same with every group off
	Ratio spreadOf  `json:"ratio"`   // of throughput; 1 costs nothing
}

// counted are the jobs that are measured.
var counted = []string{datagrams, connections, roundTrips, bulk}

const withoutTelemetry = "telemetry: {rtt: false, connect: false, queue: false, drops: false, hits: false}\n"

// telemetrySamples is how many samples are taken between two applies.
const telemetrySamples = 8

// measureTelemetry compares throughput with and without, on a host of its own.
func measureTelemetry(ctx context.Context, o options, r *report) (err error) {
	a, err := newArm(ctx, armWaymark, &waymark{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	p := newPolicy(byCgroup, smallest)
	if err := a.put(ctx, p, a.lab); err != nil {
		return err
	}
	for _, job := range counted {
		o.progress("telemetry: %s", job)
		b := telemetryBlock{Job: job}
		for range max(2, o.rounds/4) {
			if err := b.turn(ctx, o, a, p); err != nil {
				return fmt.Errorf("telemetry: %w", err)
			}
		}
		b.Ratio = summary(pairwise(b.Bare, b.With, ratio))
		r.Telemetry = append(r.Telemetry, b)
	}
	return nil
}

// turn samples with, without, without and with.
func (b *telemetryBlock) turn(ctx context.Context, o options, a *arm, p policy) error {
	var with, bare [2]float64
	for k, order := range [][]bool{{true, false}, {false, true}} {
		for _, on := range order {
			ns, err := b.half(ctx, o, a, p, on)
			if err != nil {
				return err
			}
			if on {
				with[k] = ns
			} else {
				bare[k] = ns
			}
		}
	}
	b.With, b.Bare = append(b.With, mean(with[0], with[1])), append(b.Bare, mean(bare[0], bare[1]))
	return nil
}

func (b *telemetryBlock) half(ctx context.Context, o options, a *arm, p policy, on bool) (float64, error) {
	text := p.yaml(uplinksOf(a.lab))
	if !on {
		text = withoutTelemetry + text
	}
	if _, err := a.kind.(*waymark).instance.apply(ctx, text); err != nil {
		return 0, err
	}
	samples := make([]float64, telemetrySamples)
	for k := range samples {
		var err error
		if samples[k], err = a.worker.sample(b.Job, o.sample); err != nil {
			return 0, err
		}
	}
	return median(samples), nil
}

// ofTelemetry is what is left of a job's throughput.
func ofTelemetry(r *report, job string) row {
	x := row{What: job + " with all telemetry, of none", Policy: policyName(byCgroup, smallest), Bound: leastOfCounted, AtLeast: true}
	for _, b := range r.Telemetry {
		if b.Job != job {
			continue
		}
		ratios := pairwise(b.Bare, b.With, ratio)
		x.sure(len(ratios), func(pick []int) float64 { return medianOf(ratios, pick) })
		x.Beside = fmt.Sprintf("(%.3g ns, %.3g without)", median(b.With), median(b.Bare))
		return x.judged(b.Ratio.Median)
	}
	return x.without("not measured")
}
