// SPDX-License-Identifier: Apache-2.0

package test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/lab"
)

// TestSegmentsAreCounted has the host hand its links packets of many
// segments. The far server, behind links that carry single segments, knows
// how many there are.
func TestSegmentsAreCounted(t *testing.T) {
	s := newSite(t, lab.Options{Offload: true})
	s.cgroups(t, "app.slice")
	s.apply(t, fourClasses)
	for _, r := range s.Routers {
		must[string](t)(r.Command("ip", "link", "set", "dev", "up", "gso_max_segs", "1").Output())
	}
	before := s.arrived(t)
	s.drain(t)
	for _, l := range load {
		for _, f := range ips {
			job := f.job(lab.TCP, max(1, l.service))
			if l.service > 0 {
				job.Cgroup, job.UID, job.GID = l.job.Cgroup, l.job.UID, l.job.GID
			}
			job.Count, job.Size = 1, 1<<20
			if r := must[lab.Result](t)(s.Host.Run(job)); r.Err() != nil {
				t.Errorf("%s: %v", l.class, r.Err())
			}
		}
	}
	s.quiet(t)
	if diff := cmp.Diff(since(before, s.arrived(t)), s.counted(t).byUplink()); diff != "" {
		t.Errorf("the sums of all classes are not what the far server received (-far +status):\n%s", diff)
	}
	big := func(p lab.Packet) bool { return p.Len > 1500 }
	for n, packets := range s.collect(t, func(lab.Packet) bool { return true }) {
		if !slices.ContainsFunc(packets, big) {
			t.Errorf("router %d got no packet of several segments: nothing was tested", n)
		}
	}
}

// arrived is what the far server's interfaces counted, by uplink.
func (s *site) arrived(t *testing.T) map[string]count {
	t.Helper()
	sums := map[string]count{}
	for n := range s.Routers {
		name := s.Uplink(n).Name
		stats := must[lab.Stats](t)(s.Far.Stats("to-" + name))
		sums[name] = count{stats.RxPackets, stats.RxBytes}
	}
	return sums
}
