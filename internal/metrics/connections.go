// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"

	"waymark/internal/datapath"
)

var connectionFamilies = []Family{
	counter("waymark_class_connections_opened_total", "TCP connections that the class's processes opened, and that were established.", byUplink,
		tallies(func(t *datapath.Tally) uint64 { return t.Connections.Opened })),
	counter("waymark_class_connections_accepted_total", "TCP connections that the class's listeners got.", byUplink,
		tallies(func(t *datapath.Tally) uint64 { return t.Connections.Accepted })),
	counter("waymark_class_connections_closed_total", "TCP connections that ended, opened and accepted ones, however they did.", byUplink,
		tallies(func(t *datapath.Tally) uint64 { return t.Connections.Closed })),
	counter("waymark_class_connect_failures_total", "TCP connections that were never established, by reason: refused, unreachable (there is no way, or a filter forbids it), timeout, other. What a rule or route of IPv4 refuses at once, as of a class without a way out, never was one, and is not counted, nor is what finds no local port (EADDRNOTAVAIL).", []string{"class", "uplink", "reason"},
		reasons([]string{"refused", "unreachable", "timeout", "other"}, func(t *datapath.Tally) []uint64 {
			c := &t.Connections
			return []uint64{c.Refused, c.Unreachable, c.TimedOut, c.Failed}
		})),
	counter("waymark_class_connections_lost_total", "Established TCP connections that broke, by reason: the peer's reset, or a timeout.", []string{"class", "uplink", "reason"},
		reasons([]string{"reset", "timeout"}, func(t *datapath.Tally) []uint64 {
			return []uint64{t.Connections.Aborted, t.Connections.Lost}
		})),
	counter("waymark_class_transmit_segments_total", "TCP segments sent, those sent again included.", byUplink,
		tallies(func(t *datapath.Tally) uint64 { return t.Segments })),
	counter("waymark_class_retransmitted_segments_total", "TCP segments sent again, for they were lost on the way or late.", byUplink,
		tallies(func(t *datapath.Tally) uint64 { return t.Retransmitted })),
}

var histogramFamilies = []Family{
	histogram("waymark_class_tcp_rtt_seconds", fmt.Sprintf("Round-trip time of TCP, one measurement of the kernel's in each round trip, however many segments it has: where they are not equally late, a tenth or so from the mean of all. While lost segments are sent again there are few. Of those below %v, once a connection has received %d segments, one of %d is taken, and counts for all.", datapath.RTTShort, datapath.RTTEach, datapath.RTTSample), byUplink,
		distributions(func(t *datapath.Tally) *datapath.Histogram { return &t.RTT })),
	histogram("waymark_class_tcp_connect_seconds", "Time from the first SYN to the established connection.", byUplink,
		distributions(func(t *datapath.Tally) *datapath.Histogram { return &t.Connect })),
	histogram("waymark_class_queue_seconds", fmt.Sprintf("Time from tc egress to the driver, the queueing discipline included, of one packet in %d.", datapath.QueueSample), byUplink,
		distributions(func(t *datapath.Tally) *datapath.Histogram { return &t.Queue })),
}

// distributions adds the histograms that have anything in them.
func distributions(of func(*datapath.Tally) *datapath.Histogram) func(*input, *series) {
	return func(in *input, s *series) {
		for _, p := range in.pairs {
			if h := of(p.Tally); h.Count != 0 {
				s.observe(h, p.class, p.uplink)
			}
		}
	}
}
