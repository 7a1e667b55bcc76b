// SPDX-License-Identifier: Apache-2.0

package top

import (
	"math"
	"time"

	"waymark/internal/datapath"
	"waymark/loader"
)

// site is a host with two uplinks and three classes, whose counters grow in
// every second by the same.
type site struct {
	second int
	down   bool // the second uplink is
	names  []string
}

func (x *site) next() *loader.Sample {
	if x.names == nil {
		x.names = []string{"voice", "backup", "a-class-with-a-long-name", loader.Unclassed}
	}
	x.second++
	n := uint64(x.second)
	start := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	s := &loader.Sample{Time: start.Add(time.Duration(x.second) * time.Second), Applied: start, State: 7,
		Uplinks: []loader.UplinkSample{{Name: "fiber", Interface: "eth0", Up: true}, {Name: "lte", Interface: "wwan0", Up: !x.down}}}
	for k, name := range x.names {
		c := loader.ClassSample{Name: name, Open: uint64(10 * k)}
		if name != loader.Unclassed {
			c.Route, c.Uplink = "lte, fiber", "lte"
		}
		rate := uint64(k * 1000)
		sent := datapath.Tally{Counters: datapath.Counters{Packets: n * rate, Bytes: n * rate * 125}}
		if name == "backup" {
			sent.Bytes += n * n * n * 100000
			sent.Misroutes, sent.Repaired, sent.Causes.Late = 3*n, 2*n, 3*n
			sent.Segments, sent.Retransmitted = 1000*n, 4*n
			sent.Connections = datapath.Connections{Opened: 5 * n, Refused: n, TimedOut: n}
			sent.RTT = times(n, 0.010)
		}
		c.Traffic = []loader.UplinkTally{{Uplink: "fiber"}, {Uplink: "lte", Tally: sent}}
		s.Classes = append(s.Classes, c)
		if name != loader.Unclassed {
			s.Lines = append(s.Lines, loader.LineSample{Class: name, Text: "cgroup " + name + ".slice", Where: "policy.yaml:7", Hits: n * rate / 10})
		}
	}
	return s
}

// times is a distribution with 100 values a second around one.
func times(seconds uint64, around float64) datapath.Histogram {
	const schema = 3
	i := int32(math.Ceil(math.Log2(around) * (1 << schema)))
	return datapath.Histogram{Schema: schema, First: i - 1, Buckets: []uint64{10 * seconds, 80 * seconds, 9 * seconds, seconds}, Count: 100 * seconds}
}
