// SPDX-License-Identifier: Apache-2.0

package top

import (
	"time"

	"waymark/internal/datapath"
)

// Frame is what `top` shows at one moment: what is counted, and how fast it
// grows.
type Frame struct {
	Time     time.Time `json:"time"`
	Applied  time.Time `json:"applied"`
	State    int       `json:"state"`   // number of the state in force
	Seconds  float64   `json:"seconds"` // that the rates are of; 0: there are none yet
	RTTOver  float64   `json:"rttOver"` // seconds that the round-trip times are of
	Uplinks  []Uplink  `json:"uplinks"`
	Classes  []Class   `json:"classes"` // in the policy's order, then the unclassed
	Matches  []Match   `json:"matches"` // in the order in which they are tried
	NotKnown []string  `json:"notKnown"`
}

// Uplink is one uplink, over all classes.
type Uplink struct {
	Name      string `json:"name"`
	Interface string `json:"interface"`
	Up        bool   `json:"up"`
	Traffic
}

// Class is one class, over all uplinks.
type Class struct {
	Name   string `json:"name"`
	Route  string `json:"route"`
	Uplink string `json:"uplink"` // it leaves by, now; "" for none, and of the unclassed
	Open   uint64 `json:"open"`   // flows
	Kept   uint64 `json:"kept"`   // of them, where a change found them
	Traffic
	By []ByUplink `json:"by"`
}

// ByUplink is what a class does by one uplink.
type ByUplink struct {
	Uplink string `json:"uplink"`
	Traffic
}

// Match is one match of the policy.
type Match struct {
	Class         string    `json:"class"`
	Text          string    `json:"text"`
	Where         string    `json:"where"` // file:line
	Hits          uint64    `json:"hits"`
	HitsPerSecond float64   `json:"hitsPerSecond"`
	Past          []float64 `json:"-"` // hits per second
}

// Traffic is totals since the first apply, and rates.
type Traffic struct {
	Packets               uint64          `json:"packets"` // sent
	Bytes                 uint64          `json:"bytes"`
	ReceivedBytes         uint64          `json:"receivedBytes"`
	Misroutes             uint64          `json:"misroutes"`
	Repaired              uint64          `json:"repaired"`
	Dropped               uint64          `json:"dropped"`
	Connections           uint64          `json:"connections"`   // opened and accepted
	Failed                uint64          `json:"failed"`        // connects
	Retransmitted         float64         `json:"retransmitted"` // part of all segments
	Causes                datapath.Causes `json:"causes"`        // of the misroutes
	PacketsPerSecond      float64         `json:"packetsPerSecond"`
	BitsPerSecond         float64         `json:"bitsPerSecond"` // on the wire
	ReceivedBitsPerSecond float64         `json:"receivedBitsPerSecond"`
	MisroutesPerSecond    float64         `json:"misroutesPerSecond"`
	RTT                   *Percentiles    `json:"rtt"` // nil: none was measured
	Past                  []float64       `json:"-"`   // bits per second, newest last
}

// Percentiles are of times in seconds.
type Percentiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}
