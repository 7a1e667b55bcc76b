// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"testing"
	"time"

	"waymark/internal/datapath"
	"waymark/internal/plan"
	"waymark/loader"
)

// full is a source of 1,000 classes that are all busy on 4 uplinks, with a
// match and a rule each.
type full struct{ n uint64 }

func (*full) Close() {}

func (s *full) Read() (*loader.Sample, error) {
	s.n++
	sample := &loader.Sample{Time: time.Unix(int64(s.n), 0), State: 1}
	buckets := make([]uint64, 160)
	for k := range buckets {
		buckets[k] = s.n
	}
	h := datapath.Histogram{Schema: 3, First: -160, Buckets: buckets, Count: 160 * s.n}
	for u := range 4 {
		sample.Uplinks = append(sample.Uplinks, loader.UplinkSample{Name: fmt.Sprint("u", u), Up: true})
	}
	for c := range 1000 {
		class := loader.ClassSample{Name: fmt.Sprint("c", c), Route: "[u0]", Way: []string{"u0"}, Uplink: "u0"}
		for _, u := range sample.Uplinks {
			class.Traffic = append(class.Traffic, loader.UplinkTally{Uplink: u.Name, Tally: datapath.Tally{
				Counters: datapath.Counters{Packets: s.n, Bytes: s.n}, RTT: h, Connect: h, Queue: h}})
		}
		sample.Classes = append(sample.Classes, class)
		sample.Lines = append(sample.Lines, loader.LineSample{Class: class.Name, Hits: s.n})
		sample.Rules = append(sample.Rules, loader.RuleSample{Rule: plan.Rule{Priority: uint32(c)}, Packets: s.n})
	}
	return sample, nil
}

// BenchmarkFrame is a reading's worth of work, but for the reading.
func BenchmarkFrame(b *testing.B) {
	r := newReader(PageOptions{Source: &full{}, Past: func() (Past, error) { return Past{}, nil }, Agent: func() (*Agent, error) { return nil, nil }})
	var sent int
	for b.Loop() {
		sent = len(r.frame().changed)
	}
	b.ReportMetric(float64(sent), "bytes/frame")
}
