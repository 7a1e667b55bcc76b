// SPDX-License-Identifier: Apache-2.0

package metrics

import "waymark/internal/probe"

var byTarget = []string{"uplink", "target"}

var probeFamilies = []Family{
	histogram("waymark_uplink_convergence_seconds", "Time from the last sign of life of an uplink that failed (its probes' last answer, the kernel's notice that its carrier or address went) to the first packet of its classes that left by another, by what it failed by: carrier, gateway, address. Only an agent measures it.", []string{"uplink", "cause"}, func(in *input, s *series) {
		for i := range sampled(in).Turns {
			t := &in.sample.Turns[i]
			s.observe(&t.Took, t.Uplink, t.Cause)
		}
	}),
	gauge("waymark_uplink_probe_up", "1 while the uplink's probes say that it leads somewhere; only of uplinks that the policy has probed.", []string{"uplink"}, func(in *input, s *series) {
		if in.agent == nil {
			return
		}
		for _, p := range in.agent.Probes {
			s.set(truth(p.Down == ""), p.Uplink)
		}
	}),
	gauge("waymark_uplink_probe_loss_ratio", "Part of the target's last probes that was lost.", byTarget,
		targets(func(t *probe.Target, s *series, values ...string) { s.set(float64(t.Loss)/100, values...) })),
	gauge("waymark_uplink_probe_latency_seconds", "Mean time to the answer of the target's last probes; 0 while none is answered.", byTarget,
		targets(func(t *probe.Target, s *series, values ...string) { s.set(t.Latency.Seconds(), values...) })),
	counter("waymark_uplink_probes_sent_total", "Probes of the target.", byTarget,
		targets(func(t *probe.Target, s *series, values ...string) { s.count(t.Sent, values...) })),
	counter("waymark_uplink_probes_lost_total", "Of those, the ones that no answer came to in time.", byTarget,
		targets(func(t *probe.Target, s *series, values ...string) { s.count(t.Lost, values...) })),
}

// targets adds one number of each target of each uplink.
func targets(add func(t *probe.Target, s *series, values ...string)) func(*input, *series) {
	return func(in *input, s *series) {
		if in.agent == nil {
			return
		}
		for _, p := range in.agent.Probes {
			for k := range p.Targets {
				add(&p.Targets[k], s, p.Uplink, p.Targets[k].Name)
			}
		}
	}
}
