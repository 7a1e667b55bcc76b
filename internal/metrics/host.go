// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"maps"
	"runtime"
	"slices"
	"strconv"
)

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var hostFamilies = []Family{
	gauge("waymark_uplink_up", "1 while the uplink can be used: its interface is up and has a carrier, it has an address and a next hop if it needs one, and its probes, if it has any, are answered.", []string{"uplink"}, func(in *input, s *series) {
		for _, u := range sampled(in).Uplinks {
			s.set(truth(u.Up), u.Name)
		}
	}),
	gauge("waymark_uplink_info", "1; its labels say what the uplink is.", []string{"uplink", "interface", "table"}, func(in *input, s *series) {
		for _, u := range sampled(in).Uplinks {
			s.set(1, u.Name, u.Interface, strconv.FormatUint(uint64(u.Table), 10))
		}
	}),
	gauge("waymark_agent_up", "1 while `waymark run` runs in this network namespace.", nil, func(in *input, s *series) {
		in.runs.tell(s)
	}),
	gauge("waymark_agent_start_time_seconds", "Unix time at which the agent began.", nil, func(in *input, s *series) {
		if in.agent != nil {
			s.set(float64(in.agent.Since.Unix()))
		}
	}),
	gauge("waymark_agent_problems", "Things that are wrong now and that the agent cannot mend, or holds back for somebody keeps changing them; `waymark status` says which.", nil,
		func(in *input, s *series) {
			if in.agent != nil {
				s.set(float64(in.agent.Problems))
			}
		}),
	counter("waymark_agent_heals_total", "Objects of Waymark's that somebody took away or changed, and that an agent put back.", []string{"kind"},
		func(in *input, s *series) {
			if in.agent == nil {
				return
			}
			kinds := slices.Concat(healKinds, slices.Sorted(maps.Keys(in.agent.Heals)))
			slices.Sort(kinds)
			for _, kind := range slices.Compact(kinds) {
				s.count(in.agent.Heals[kind], kind)
			}
		}),
	gauge("waymark_build_info", "1; its labels say which binary this is.", []string{"version", "goversion"}, func(in *input, s *series) {
		s.set(1, in.version, runtime.Version())
	}),
	gauge("waymark_exporter_read_seconds", "Time that reading all of this took.", nil, func(in *input, s *series) {
		s.set(in.took.Seconds())
	}),
	counter("waymark_exporter_read_errors_total", "Scrapes for which not everything could be read; the log says why.", nil, func(in *input, s *series) {
		s.count(in.failed)
	}),
}

var policyFamilies = []Family{
	gauge("waymark_policy_applied", "1 while a policy is applied.", nil, func(in *input, s *series) {
		in.applied.tell(s)
	}),
	gauge("waymark_policy_applied_timestamp_seconds", "Unix time at which the policy in force was applied.", nil, func(in *input, s *series) {
		if in.sample != nil {
			s.set(float64(in.sample.Applied.UnixNano()) / 1e9)
		}
	}),
	gauge("waymark_policy_state", "Number of the state in force; every apply and rollback that changes something is the next one.", nil, func(in *input, s *series) {
		if in.sample != nil {
			s.set(float64(in.sample.State))
		}
	}),
	gauge("waymark_policy_overrides", "Moves that are in force beside the policy.", nil, func(in *input, s *series) {
		if in.sample != nil {
			s.set(float64(in.sample.Overrides))
		}
	}),
	gauge("waymark_policy_waiting", "Things that the policy names and the host does not have yet; `waymark status` says which.", nil, func(in *input, s *series) {
		if in.sample != nil {
			s.set(float64(in.sample.Waiting))
		}
	}),
	gauge("waymark_policy_not_counted", "Groups of counters that the policy or the kernel leaves out.", nil, func(in *input, s *series) {
		if in.sample != nil {
			s.set(float64(len(in.sample.Off)))
		}
	}),
}
