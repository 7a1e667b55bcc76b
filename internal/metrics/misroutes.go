// SPDX-License-Identifier: Apache-2.0

package metrics

import "waymark/internal/datapath"

var causeNames = []string{"opened_before_apply", "late_mark", "foreign_mark", "source_pinned", "no_route"}

var misrouteFamilies = []Family{
	counter("waymark_class_misrouted_packets_total", "Packets that came to leave by this uplink and belonged on another, by cause, repaired ones included.",
		[]string{"class", "uplink", "cause"}, misrouted),
	counter("waymark_class_repaired_packets_total", "Misrouted packets that were sent to the right uplink instead.", byUplink,
		tallies(func(t *datapath.Tally) uint64 { return t.Repaired })),
	counter("waymark_class_forbidden_packets_total", "Misrouted packets that were not let out, for their class's `otherwise` forbids it.", byUplink,
		tallies(func(t *datapath.Tally) uint64 { return t.Dropped })),
	counter("waymark_class_chosen_packets_total", "Packets that left by an uplink that their application chose: it bound the socket, or answers where it was asked.", byUplink,
		tallies(func(t *datapath.Tally) uint64 { return t.Causes.Chosen })),
	counter("waymark_class_guard_refusals_total", "Attempts of the class's processes to take another class's mark, refused.", byClass,
		sums(func(t *datapath.Tally) uint64 { return t.Refused })),
}

// misrouted shows every class on every uplink: a misroute is most of all seen
// where the class has no business, and the first one must be an increase.
func misrouted(in *input, s *series) {
	for i := range sampled(in).Classes {
		c := &in.sample.Classes[i]
		if c.Mark == 0 {
			continue // what is in no class is nowhere wrong
		}
		for k := range c.Traffic {
			u, causes := c.Traffic[k].Uplink, &c.Traffic[k].Causes
			for j, n := range [...]uint64{causes.Before, causes.Late, causes.Foreign, causes.Pinned, causes.NoRoute} {
				s.count(n, c.Name, u, causeNames[j])
			}
		}
	}
}
