// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"slices"

	"waymark/internal/datapath"
)

var classFamilies = []Family{
	gauge("waymark_class_info", "1; its labels say what the class is.", []string{"class", "mark", "route"}, func(in *input, s *series) {
		for i := range sampled(in).Classes {
			if c := &in.sample.Classes[i]; c.Mark != 0 {
				s.set(1, c.Name, fmt.Sprintf("%#x", c.Mark), c.Route)
			}
		}
	}),
	gauge("waymark_class_uplink_current", "1 of the uplink that the class's new flows take (of a balance, of each that is up), 0 of the others of its route.", byUplink, currentUplinks),
	gauge("waymark_class_way_out", "1 while an uplink of the class's route is up; at 0 its `otherwise` decides.", byClass, func(in *input, s *series) {
		for i := range sampled(in).Classes {
			if c := &in.sample.Classes[i]; c.Mark != 0 {
				s.set(truth(c.Uplink != ""), c.Name)
			}
		}
	}),
	gauge("waymark_class_open_flows", "Flows of the class that are open, as of a look at all sockets that is at most five seconds old: TCP connections, and UDP sockets with a destination.", byClass, func(in *input, s *series) {
		for i := range sampled(in).Classes {
			s.set(float64(in.sample.Classes[i].Open), in.sample.Classes[i].Name)
		}
	}),
	gauge("waymark_class_kept_flows", "Open flows that would be in the class now, had a change not left them where they were.", byClass, func(in *input, s *series) {
		for i := range sampled(in).Classes {
			s.set(float64(in.sample.Classes[i].Kept), in.sample.Classes[i].Name)
		}
	}),
	gauge("waymark_class_away_flows", "Open flows of the class that stay on the uplink, for their source address is that one's, though new flows leave by another.", byUplink, func(in *input, s *series) {
		for i := range sampled(in).Classes {
			c := &in.sample.Classes[i]
			for k := range c.Traffic {
				if u := &c.Traffic[k]; c.Mark != 0 && (u.Away > 0 || slices.Contains(c.Way, u.Uplink)) {
					s.set(float64(u.Away), c.Name, u.Uplink)
				}
			}
		}
	}),
	counter("waymark_class_changed_sockets_total", "Open sockets that a change found, by what became of them: move, keep, reset.", []string{"class", "fate"}, changedSockets),
}

func changedSockets(in *input, s *series) {
	for i := range sampled(in).Classes {
		c := &in.sample.Classes[i]
		var moved, kept, reset uint64
		everyUplink(c, func(t *datapath.Tally) { moved, kept, reset = moved+t.Moved, kept+t.Kept, reset+t.Reset })
		s.count(moved, c.Name, "move")
		s.count(kept, c.Name, "keep")
		s.count(reset, c.Name, "reset")
	}
}

func currentUplinks(in *input, s *series) {
	up := map[string]bool{}
	for _, u := range sampled(in).Uplinks {
		up[u.Name] = u.Up
	}
	for i := range sampled(in).Classes {
		c := &in.sample.Classes[i]
		for _, u := range c.Way {
			s.set(truth(u == c.Uplink || c.Balance && up[u]), c.Name, u)
		}
	}
}
