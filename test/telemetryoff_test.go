// SPDX-License-Identifier: Apache-2.0

package test

import (
	"net/netip"
	"testing"

	"waymark/classes"
	"waymark/internal/lab"
)

// TestTelemetryOff switches every group off, and on again: what is off is not
// counted, and said to be off, and what was counted before stays.
func TestTelemetryOff(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	const off = "telemetry: {rtt: false, connect: false, queue: false, drops: false, hits: false, sends: false}\n"
	counts := func() (n map[classes.Group]uint64, packets uint64, said int) {
		sample := s.metered(t)
		tally := tallyOf(t, sample, "group")
		n = map[classes.Group]uint64{
			classes.GroupRTT: tally.RTT.Count, classes.GroupConnect: tally.Connections.Opened + tally.Connect.Count, classes.GroupQueue: tally.Queue.Count,
			classes.GroupSends: tally.Sends.TooBig,
		}
		for _, l := range sample.Lines {
			n[classes.GroupHits] += l.Hits
		}
		for _, d := range sample.Drops {
			n[classes.GroupDrops] += d.Packets
		}
		return n, tally.Packets, len(sample.Off)
	}
	for _, policy := range []string{off + fourClasses, fourClasses, off + fourClasses} {
		s.apply(t, policy)
		last, packets, _ := counts()
		for _, f := range bothFamilies {
			job := f.job(lab.TCP, 1)
			job.Cgroup, job.Count, job.Size = "app.slice", 1, 300_000
			must[lab.Result](t)(s.Host.Run(job))
			tooBig := f.job(lab.UDP, 1)
			tooBig.Cgroup, tooBig.Count, tooBig.Size, tooBig.NoReply = "app.slice", 1, 70_000, true
			must[lab.Result](t)(s.Host.Run(tooBig))
			must[lab.Result](t)(s.Far.Run(lab.Job{Kind: lab.SendTo, To: []netip.AddrPort{netip.AddrPortFrom(s.Uplink(byA).Address4, 9)}, Count: 2, Size: 1, NoReply: true}))
		}
		s.quiet(t)
		now, sent, said := counts()
		on := policy == fourClasses
		if sent == packets || (said == 0) != on || (said != len(classes.Groups)) == !on {
			t.Errorf("%d packets more, and %d groups are said to be off", sent-packets, said)
		}
		for _, g := range classes.Groups {
			if (now[g] > last[g]) != on || now[g] < last[g] {
				t.Errorf("%s went from %d to %d with telemetry %v", g, last[g], now[g], on)
			}
		}
	}
}
