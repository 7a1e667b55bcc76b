// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"io/fs"
	"time"

	"waymark/internal/datapath"
	"waymark/internal/plan"
	"waymark/internal/probe"
	"waymark/loader"
)

// made is a sample of so many classes on so many uplinks, in which
// everything was counted: class k's way is uplink k modulo uplinks.
func made(classes, uplinks int) *loader.Sample {
	s := &loader.Sample{Time: time.Unix(1000, 0), Applied: time.Unix(900, 5e8), State: 3, Overrides: 1, Waiting: 2, Off: []string{"queue: the kernel lacks it"}}
	for u := range uplinks {
		s.Uplinks = append(s.Uplinks, loader.UplinkSample{Name: fmt.Sprintf("u%d", u), Interface: fmt.Sprintf("eth%d", u), Table: uint32(7000 + u), Up: u != 1})
	}
	for k := range classes + 1 {
		c := loader.ClassSample{Name: fmt.Sprintf("class%d", k), Mark: uint32(k+1) << 24, Route: "[u0]", Open: 4, Kept: 1,
			Way: []string{s.Uplinks[k%uplinks].Name}, Uplink: s.Uplinks[k%uplinks].Name}
		if k == classes {
			c = loader.ClassSample{Name: loader.Unclassed}
		}
		for u := range uplinks {
			t := loader.UplinkTally{Uplink: s.Uplinks[u].Name}
			if u == k%uplinks {
				t.Tally = madeTally(uint64(k))
			}
			c.Traffic = append(c.Traffic, t)
		}
		s.Classes = append(s.Classes, c)
		s.Lines = append(s.Lines, loader.LineSample{Class: c.Name, Text: fmt.Sprintf("cgroup: %d.slice", k), Where: "policy.yaml:7", Hits: uint64(k)})
	}
	s.Rules = []loader.RuleSample{
		{Rule: plan.Rule{Family: plan.IPv6, Priority: 1020, Table: 7000, Action: plan.Lookup}, Text: "priority 1020 lookup 7000", Packets: 6, Classes: []loader.RuleClass{{Class: "class0", Packets: 6}}},
		{Rule: plan.Rule{Family: plan.IPv4, Priority: 1020, Table: 254, Action: plan.Lookup}, Text: "priority 1020 lookup main", Packets: 0},
	}
	s.Turns = []loader.TurnSample{{Uplink: "u0", Cause: "gateway", Took: madeTally(0).RTT}}
	s.Drops = []loader.DropSample{{Class: "class0", Reason: "IP_RPFILTER", Place: "ip_rcv_finish", Packets: 2}}
	return s
}

// oddlyNamed has a line whose text has to be escaped, and more hits than a float64
// tells apart.
func oddlyNamed() *loader.Sample {
	odd := made(2, 2)
	odd.Lines[0].Text = "cgroup: \"a\\b\"\nand more"
	odd.Lines[1].Hits = 1 << 60
	return odd
}

func madeTally(k uint64) datapath.Tally {
	h := datapath.Histogram{Schema: 3, First: -128, Buckets: make([]uint64, 161)}
	for i := range uint64(40) {
		h.Buckets[40+i] = i % 5
		h.Count += i % 5
	}
	h.Sum = 0.5
	t := datapath.Tally{Segments: 9, Retransmitted: 1, Moved: 5, Kept: 6, Reset: 7, SendErrors: 8, RTT: h, Connect: h, Queue: h}
	t.Packets, t.Bytes, t.Misroutes, t.Repaired, t.Dropped, t.Foreign, t.Refused = 100+k, 10000+k, 15, 2, 1, 3, 4
	t.Causes = datapath.Causes{Before: 1, Late: 2, Foreign: 3, Pinned: 4, NoRoute: 5, Chosen: 6}
	t.Sent = datapath.Volumes{IPv4: datapath.Volume{Packets: 60 + k, Bytes: 6000 + k}, IPv6: datapath.Volume{Packets: 40, Bytes: 4000}}
	t.Received = datapath.Volumes{IPv4: datapath.Volume{Packets: 50, Bytes: 5000}, IPv6: datapath.Volume{Packets: 30, Bytes: 3000}}
	t.Connections = datapath.Connections{Opened: 21, Accepted: 22, Closed: 23, Refused: 24, Unreachable: 25, TimedOut: 26, Failed: 27, Aborted: 28, Lost: 29}
	return t
}

// source is one that reads always the same; nil is for nothing applied.
func source(s *loader.Sample) Source {
	return Source{Version: "v1.2.3",
		Read: func() (*loader.Sample, error) {
			if s == nil {
				return nil, fmt.Errorf("read the counters: %w", fs.ErrNotExist)
			}
			return s, nil
		},
		Agent: func() (*Agent, error) {
			return &Agent{Since: time.Unix(800, 0), Heals: map[string]uint64{"rule": 2}, Problems: 1,
				Probes: []probe.State{{Uplink: "u0", Targets: []probe.Target{{Name: "icmp 192.0.2.1", Loss: 25, Latency: 20 * time.Millisecond, Sent: 40, Lost: 10}}}}}, nil
		}}
}
