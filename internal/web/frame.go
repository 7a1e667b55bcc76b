// SPDX-License-Identifier: Apache-2.0

package web

import (
	"math"
	"time"

	"waymark/internal/datapath"
	"waymark/loader"
)

// frame is what the page shows, but for its long lists.
type frame struct {
	Time    time.Time           `json:"time"`
	State   int                 `json:"state"` // number of the state in force; 0 for none
	Applied time.Time           `json:"applied"`
	Problem string              `json:"problem,omitempty"` // why there are no numbers
	Uplinks []uplinkFrame       `json:"uplinks"`
	Drops   []loader.DropSample `json:"drops"`
	Turns   []turnFrame         `json:"turns"`
	Off     []string            `json:"off"`
	Past    Past                `json:"past"`
	Agent   *Agent              `json:"agent"`
	Window  float64             `json:"window"` // seconds that percentiles are of, so far
	Whole   bool                `json:"whole"`  // the rows are all there are, and not only those that are new
	Classes rows                `json:"classes,omitempty"`
	Lines   rows                `json:"lines,omitempty"`
	Rules   rows                `json:"rules,omitempty"`
}

// uplinkFrame is an uplink with what all classes did by it.
type uplinkFrame struct {
	loader.UplinkSample
	flow
}

// flow is what is counted, and how fast, in packets and bits a second.
type flow struct {
	Sent         datapath.Volume `json:"sent"`
	Received     datapath.Volume `json:"received"`
	SentRate     rate            `json:"sentRate"`
	ReceivedRate rate            `json:"receivedRate"`
}

type rate struct {
	Packets float64 `json:"packets"`
	Bits    float64 `json:"bits"`
}

// classFrame is a class, with a lane for each uplink that it did anything by.
type classFrame struct {
	Name    string   `json:"name"`
	Mark    uint32   `json:"mark"`
	Route   string   `json:"route"`
	Way     []string `json:"way"`
	Balance bool     `json:"balance"`
	Uplink  string   `json:"uplink"`
	Open    uint64   `json:"open"`
	Kept    uint64   `json:"kept"`
	Lanes   []lane   `json:"lanes"`
}

// lane is what a class does by one uplink, as far as a lane shows it.
type lane struct {
	Uplink string `json:"uplink"`
	flow
	Away      uint64       `json:"away"` // open flows that stay here, though new ones leave by another
	Misroutes uint64       `json:"misroutes"`
	Repaired  uint64       `json:"repaired"`
	Moved     uint64       `json:"moved"`
	Reset     uint64       `json:"reset"`
	RTT       *percentiles `json:"rtt"` // null: no value in the window
}

// percentiles are of the values of the window, in seconds.
type percentiles struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
}

// percentilesSince is nil for a histogram that has nothing new, or whose count
// was read before its buckets.
func percentilesSince(then, now *datapath.Histogram) *percentiles {
	if then.Count >= now.Count {
		return nil
	}
	q := now.QuantilesSince(*then, .5, .95, .99)
	if math.IsNaN(q[2]) {
		return nil
	}
	return &percentiles{now.Count - then.Count, q[0], q[1], q[2]}
}

// lineFrame is a match or a rule with its hits.
type lineFrame struct {
	Class    string  `json:"class,omitempty"`
	Family   string  `json:"family,omitempty"`
	Priority uint32  `json:"priority,omitempty"`
	Text     string  `json:"text"`
	Where    string  `json:"where"` // in the policy; why, of a rule
	Hits     uint64  `json:"hits"`
	Rate     float64 `json:"rate"`
}

func (f *flow) add(o flow) {
	f.Sent.Packets += o.Sent.Packets
	f.Sent.Bytes += o.Sent.Bytes
	f.Received.Packets += o.Received.Packets
	f.Received.Bytes += o.Received.Bytes
	f.SentRate.Packets += o.SentRate.Packets
	f.SentRate.Bits += o.SentRate.Bits
	f.ReceivedRate.Packets += o.ReceivedRate.Packets
	f.ReceivedRate.Bits += o.ReceivedRate.Bits
}
