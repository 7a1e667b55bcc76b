// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"math"
	"slices"
	"time"

	"waymark/bpf"
)

// Tally is everything that is counted of one class on one uplink, since the
// first apply. The zero value is a class that nothing was ever seen of.
type Tally struct {
	Counters
	Sent          Volumes     `json:"sent"`     // what Packets and Bytes are the sum of
	Received      Volumes     `json:"received"` // by the class's sockets; of what is unclassed, all else that came in
	Segments      uint64      `json:"segments"` // TCP segments sent, those sent again included
	Retransmitted uint64      `json:"retransmitted"`
	Connections   Connections `json:"connections"`
	Moved         uint64      `json:"moved"` // sockets that a change moved into the class
	Kept          uint64      `json:"kept"`  // that it would have had, and that were left as they were
	Reset         uint64      `json:"reset"`
	SendErrors    uint64      `json:"sendErrors"` // datagrams, and connects of datagram sockets, that a hook of ours refused
	Sends         FailedSends `json:"failedSends"`
	RTT           Histogram   `json:"rtt"`     // of TCP, a value for each round trip; see RTTSample
	Connect       Histogram   `json:"connect"` // of TCP, from the first SYN to established
	Queue         Histogram   `json:"queue"`   // from tc egress to the driver, of one packet in QueueSample
}

// QueueSample is how many packets go by for each whose time in the queue is
// taken. RTTSample is how many of a connection's round trips go by for each that
// is counted, as so many, of those shorter than RTTShort; of the
// first RTTEach segments that a connection receives, all are.
const (
	QueueSample = int(bpf.WaymarkQueueLimitsQUEUE_SAMPLE)
	RTTEach     = int(bpf.WaymarkRttLimitsRTT_EACH)
	RTTShort    = time.Duration(bpf.WaymarkRttLimitsRTT_SHORT) * time.Microsecond
	RTTSample   = int(bpf.WaymarkRttLimitsRTT_SAMPLE)
)

// Volume is packets and their bytes on the wire, link header included; of a
// GSO or GRO packet each segment counts.
type Volume struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// Volumes are volumes by family. What carries none (ARP) is with IPv4.
type Volumes struct {
	IPv4 Volume `json:"ipv4"`
	IPv6 Volume `json:"ipv6"`
}

// Total is both families together. What carries no family is in the sum that
// Counters has.
func (v Volumes) Total() Volume {
	return Volume{Packets: v.IPv4.Packets + v.IPv6.Packets, Bytes: v.IPv4.Bytes + v.IPv6.Bytes}
}

func (v *Volumes) add(o Volumes) {
	v.IPv4.Packets += o.IPv4.Packets
	v.IPv4.Bytes += o.IPv4.Bytes
	v.IPv6.Packets += o.IPv6.Packets
	v.IPv6.Bytes += o.IPv6.Bytes
}

// Connections are TCP connections by what became of them.
type Connections struct {
	Opened      uint64 `json:"opened"`      // by connect(2), and established
	Accepted    uint64 `json:"accepted"`    //
	Closed      uint64 `json:"closed"`      // of those two, however they ended
	Refused     uint64 `json:"refused"`     // connects that failed with ECONNREFUSED
	Unreachable uint64 `json:"unreachable"` // with ENETUNREACH, EHOSTUNREACH, EACCES and their like
	TimedOut    uint64 `json:"timedOut"`    // with ETIMEDOUT
	Failed      uint64 `json:"failed"`      // with another error, or given up by the application
	Aborted     uint64 `json:"aborted"`     // established, and ended by the peer's reset
	Lost        uint64 `json:"lost"`        // established, and ended by a timeout
}

// FailedSends are sends by datagram and raw sockets that returned an error,
// whoever refused them.
type FailedSends struct {
	Unreachable uint64 `json:"unreachable"` // with ENETUNREACH, EHOSTUNREACH, EACCES, EPERM and their like
	Refused     uint64 `json:"refused"`     // with ECONNREFUSED, which an earlier datagram met
	TooBig      uint64 `json:"tooBig"`      // with EMSGSIZE
	NoBuffers   uint64 `json:"noBuffers"`   // with ENOBUFS
	Other       uint64 `json:"other"`
}

// Add adds others.
func (f *FailedSends) Add(o FailedSends) {
	f.Unreachable += o.Unreachable
	f.Refused += o.Refused
	f.TooBig += o.TooBig
	f.NoBuffers += o.NoBuffers
	f.Other += o.Other
}

// Histogram is a distribution of times. Bucket i counts values v with
// Bound(i-1) < v <= Bound(i); the bounds are exactly those of a Prometheus
// native histogram of Schema, whose index of bucket i is First + i. The zero
// value is empty.
type Histogram struct {
	Schema  int32    `json:"schema"`
	First   int32    `json:"first"`
	Buckets []uint64 `json:"buckets"`
	Count   uint64   `json:"count"`
	Sum     float64  `json:"sum"` // seconds
}

// Bound is the upper bound of bucket i, in seconds.
func (h Histogram) Bound(i int) float64 {
	return math.Exp2(float64(h.First+int32(i)) / math.Exp2(float64(h.Schema)))
}

// at is what the bucket with an index counts.
func (h *Histogram) at(index int32) uint64 {
	if i := int(index - h.First); i >= 0 && i < len(h.Buckets) {
		return h.Buckets[i]
	}
	return 0
}

// Trimmed is the histogram without the empty buckets at its ends, in memory of
// its own: what QuantilesSince and Since need of an earlier reading.
func (h Histogram) Trimmed() Histogram {
	for len(h.Buckets) > 0 && h.Buckets[0] == 0 {
		h.First, h.Buckets = h.First+1, h.Buckets[1:]
	}
	for n := len(h.Buckets); n > 0 && h.Buckets[n-1] == 0; n-- {
		h.Buckets = h.Buckets[:n-1]
	}
	h.Buckets = slices.Clone(h.Buckets)
	return h
}

// Quantile is the value in seconds below which a part q of the distribution
// lies, found within its bucket by exponential interpolation, as Prometheus
// does; NaN of an empty one.
func (h Histogram) Quantile(q float64) float64 {
	return h.QuantilesSince(Histogram{}, q)[0]
}

// QuantilesSince are some, ascending, of what was counted since an earlier
// reading.
func (h Histogram) QuantilesSince(earlier Histogram, qs ...float64) (values []float64) {
	count, below := h.Count-earlier.Count, uint64(0)
	for i, n := range h.Buckets {
		n -= earlier.at(h.First + int32(i))
		for n > 0 && len(values) < len(qs) {
			rank := qs[len(values)] * float64(count)
			if float64(below+n) < rank {
				break
			}
			part := math.Max(0, rank-float64(below)) / float64(n)
			values = append(values, h.Bound(i-1)*math.Exp2(part/math.Exp2(float64(h.Schema))))
		}
		below += n
	}
	for len(values) < len(qs) {
		values = append(values, math.NaN())
	}
	return values
}

// Since is what a histogram has counted since an earlier reading of it.
func (h Histogram) Since(earlier Histogram) Histogram {
	d := h
	d.Buckets = append([]uint64(nil), h.Buckets...)
	for i := range d.Buckets {
		d.Buckets[i] -= earlier.at(h.First + int32(i))
	}
	d.Count -= earlier.Count
	d.Sum -= earlier.Sum
	return d
}

// Add adds what another of the same schema has counted.
func (h *Histogram) Add(o Histogram) {
	if h.Buckets == nil {
		*h = o
		h.Buckets = append([]uint64(nil), o.Buckets...)
		return
	}
	for i := range o.Buckets {
		h.Buckets[i] += o.Buckets[i]
	}
	h.Count += o.Count
	h.Sum += o.Sum
}

// Drops are packets that the kernel dropped, of one class, for one reason, at
// one place.
type Drops struct {
	Slot    uint32 `json:"slot"`   // the class's line of counters
	Reason  string `json:"reason"` // of enum skb_drop_reason, as NO_SOCKET
	Place   string `json:"place"`  // the kernel's function
	Packets uint64 `json:"packets"`
}
