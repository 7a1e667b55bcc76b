// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"slices"

	"waymark/internal/datapath"
	"waymark/loader"
)

var (
	byClass    = []string{"class"}
	byUplink   = []string{"class", "uplink"}
	byFamily   = []string{"class", "uplink", "family"}
	familyName = [...]string{"ipv4", "ipv6"}
)

var trafficFamilies = []Family{
	counter("waymark_class_transmit_packets_total", "Packets that left by the uplink, as they are on the wire.", byFamily,
		volumes(sent, func(v datapath.Volume) uint64 { return v.Packets })),
	counter("waymark_class_transmit_bytes_total", "Bytes that left by the uplink, link headers included.", byFamily,
		volumes(sent, func(v datapath.Volume) uint64 { return v.Bytes })),
	counter("waymark_class_receive_packets_total", "Packets that came in by the uplink to TCP, UDP and ping sockets of the class; of unclassed, all others: to sockets of no class, to none, fragments, copies (raw sockets, multicast), what is forwarded. The sum over classes, unclassed included, is what came in by the interface.", byFamily,
		volumes(received, func(v datapath.Volume) uint64 { return v.Packets })),
	counter("waymark_class_receive_bytes_total", "The bytes of these packets, link headers included: on Ethernet 14 for each packet of the wire, which for what GRO joined the interface itself may count once. What carries no family (ARP) is with ipv4.", byFamily,
		volumes(received, func(v datapath.Volume) uint64 { return v.Bytes })),
	counter("waymark_class_foreign_mark_packets_total", "Packets that left with fwmark bits of somebody else's beside ours.", byUplink,
		tallies(func(t *datapath.Tally) uint64 { return t.Foreign })),
	counter("waymark_class_send_errors_total", "Datagrams, and connects of datagram sockets, that a hook of Waymark's refused.", byClass,
		sums(func(t *datapath.Tally) uint64 { return t.SendErrors })),
	counter("waymark_class_failed_sends_total", "Datagrams that could not be sent, whoever refused them, by the error: unreachable (there is no way, or a filter of the host's forbids it), refused (an earlier one was, at the other end), too_big, no_buffers, other.", []string{"class", "reason"}, failedSends),
	counter("waymark_class_dropped_packets_total", "Packets that the kernel dropped, by its reason and the function that did.", []string{"class", "reason", "place"},
		func(in *input, s *series) {
			for i := range sampled(in).Drops {
				d := &in.sample.Drops[i]
				s.count(d.Packets, d.Class, d.Reason, d.Place)
			}
		}),
}

func failedSends(in *input, s *series) {
	for i := range sampled(in).Classes {
		c, sum := &in.sample.Classes[i], datapath.FailedSends{}
		everyUplink(c, func(t *datapath.Tally) { sum.Add(t.Sends) })
		s.count(sum.Unreachable, c.Name, "unreachable")
		s.count(sum.Refused, c.Name, "refused")
		s.count(sum.TooBig, c.Name, "too_big")
		s.count(sum.NoBuffers, c.Name, "no_buffers")
		s.count(sum.Other, c.Name, "other")
	}
}

// everyUplink goes through what a class did by each uplink, those among them that
// the policy has no more: their numbers would go out of a sum.
func everyUplink(c *loader.ClassSample, do func(*datapath.Tally)) {
	do(&c.Gone)
	for k := range c.Traffic {
		do(&c.Traffic[k].Tally)
	}
}

func sent(t *datapath.Tally) [2]datapath.Volume {
	return [2]datapath.Volume{t.Sent.IPv4, t.Sent.IPv6}
}

func received(t *datapath.Tally) [2]datapath.Volume {
	return [2]datapath.Volume{t.Received.IPv4, t.Received.IPv6}
}

var nothing loader.Sample

// sampled is the sample, or an empty one.
func sampled(in *input) *loader.Sample {
	if in.sample == nil {
		return &nothing
	}
	return in.sample
}

// pair is what a class did by one uplink.
type pair struct {
	class, uplink string
	*datapath.Tally
}

// pairsOf are the classes and uplinks that belong together: those of the
// class's route, so that a counter is there before its first event, and those
// where anything was counted all the same.
func pairsOf(sample *loader.Sample, into []pair) []pair {
	for i := range sample.Classes {
		c := &sample.Classes[i]
		for k := range c.Traffic {
			u := &c.Traffic[k]
			if c.Mark == 0 || slices.Contains(c.Way, u.Uplink) || used(&u.Tally) {
				into = append(into, pair{c.Name, u.Uplink, &u.Tally})
			}
		}
	}
	return into
}

// used tells whether anything was counted.
func used(t *datapath.Tally) bool {
	c := &t.Connections
	return t.Packets+t.Misroutes+t.Foreign+t.Received.IPv4.Packets+t.Received.IPv6.Packets+t.Segments+t.SendErrors+
		c.Opened+c.Accepted+c.Closed+c.Refused+c.Unreachable+c.TimedOut+c.Failed != 0
}

// tallies adds one number of each class and uplink.
func tallies(number func(*datapath.Tally) uint64) func(*input, *series) {
	return func(in *input, s *series) {
		for _, p := range in.pairs {
			s.count(number(p.Tally), p.class, p.uplink)
		}
	}
}

// volumes adds one number of each class, uplink and family.
func volumes(of func(*datapath.Tally) [2]datapath.Volume, number func(datapath.Volume) uint64) func(*input, *series) {
	return func(in *input, s *series) {
		for _, p := range in.pairs {
			for k, v := range of(p.Tally) {
				s.count(number(v), p.class, p.uplink, familyName[k])
			}
		}
	}
}

// sums adds one number of each class, over its uplinks.
func sums(number func(*datapath.Tally) uint64) func(*input, *series) {
	return func(in *input, s *series) {
		for i := range sampled(in).Classes {
			c, sum := &in.sample.Classes[i], uint64(0)
			everyUplink(c, func(t *datapath.Tally) { sum += number(t) })
			s.count(sum, c.Name)
		}
	}
}

// reasons adds the numbers of each class and uplink, by what they are of:
// names, in the order of the numbers.
func reasons(names []string, numbers func(*datapath.Tally) []uint64) func(*input, *series) {
	return func(in *input, s *series) {
		for _, p := range in.pairs {
			for k, n := range numbers(p.Tally) {
				s.count(n, p.class, p.uplink, names[k])
			}
		}
	}
}
