// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/datapath"
	"waymark/internal/lab"
	"waymark/loader"
)

// load calls do on the host, with a loader of its own.
func (s *site) load(t *testing.T, do func(*loader.Loader) error) {
	t.Helper()
	err := s.Host.Do(func() error {
		l, err := loader.Open(loader.Options{CgroupRoot: s.CgroupRoot()})
		if err != nil {
			return err
		}
		defer l.Close()
		return do(l)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// metered is what the site's meter reads: one for all of a test, for each new one
// costs the verifying of two programs.
func (s *site) metered(t *testing.T) (sample *loader.Sample) {
	t.Helper()
	err := s.Host.Do(func() (err error) {
		if s.meter == nil {
			if s.metering, err = loader.Open(loader.Options{CgroupRoot: s.CgroupRoot()}); err != nil {
				return err
			}
			s.meter = s.metering.Meter()
		}
		sample, err = s.meter.Read()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sample
}

// unmeter closes the site's meter, if it was read.
func (s *site) unmeter() {
	if s.meter != nil {
		s.meter.Close()
		s.metering.Close()
	}
}

// tallyOf is what a class did by all uplinks.
func tallyOf(t *testing.T, s *loader.Sample, class string) (sum datapath.Tally) {
	t.Helper()
	for _, c := range s.Classes {
		if c.Name != class {
			continue
		}
		for _, u := range c.Traffic {
			addTally(&sum, u.Tally)
		}
		return sum
	}
	t.Fatalf("no class %q was sampled", class)
	return sum
}

func addTally(sum *datapath.Tally, o datapath.Tally) {
	sum.Foreign += o.Foreign
	sum.Packets += o.Packets
	sum.Bytes += o.Bytes
	sum.Segments += o.Segments
	sum.Retransmitted += o.Retransmitted
	sum.SendErrors += o.SendErrors
	sum.Sends.Add(o.Sends)
	sum.Moved, sum.Kept, sum.Reset = sum.Moved+o.Moved, sum.Kept+o.Kept, sum.Reset+o.Reset
	sum.Connections = addConnections(sum.Connections, o.Connections)
	sum.Sent, sum.Received = addVolumes(sum.Sent, o.Sent), addVolumes(sum.Received, o.Received)
	for _, h := range []struct {
		to   *datapath.Histogram
		from datapath.Histogram
	}{{&sum.RTT, o.RTT}, {&sum.Connect, o.Connect}, {&sum.Queue, o.Queue}} {
		if h.from.Buckets != nil {
			h.to.Add(h.from)
		}
	}
}

func addVolumes(a, b datapath.Volumes) datapath.Volumes {
	return datapath.Volumes{IPv4: addVolume(a.IPv4, b.IPv4), IPv6: addVolume(a.IPv6, b.IPv6)}
}

func addVolume(a, b datapath.Volume) datapath.Volume {
	return datapath.Volume{Packets: a.Packets + b.Packets, Bytes: a.Bytes + b.Bytes}
}

func addConnections(a, b datapath.Connections) datapath.Connections {
	return datapath.Connections{
		Opened: a.Opened + b.Opened, Accepted: a.Accepted + b.Accepted, Closed: a.Closed + b.Closed,
		Refused: a.Refused + b.Refused, Unreachable: a.Unreachable + b.Unreachable, TimedOut: a.TimedOut + b.TimedOut,
		Failed: a.Failed + b.Failed, Aborted: a.Aborted + b.Aborted, Lost: a.Lost + b.Lost,
	}
}

// TestVolumes holds what was sent and received, by family and uplink, of all
// classes and of none, against the counters of the interfaces at the other end,
// to the packet and the byte.
func TestVolumes(t *testing.T) {
	for _, offload := range []bool{false, true} {
		t.Run(map[bool]string{false: "single segments", true: "GSO and GRO"}[offload], func(t *testing.T) {
			volumes(t, offload)
		})
	}
}

func volumes(t *testing.T, offload bool) {
	s := newSite(t, lab.Options{Offload: offload, LAN: true, Forward: true})
	s.cgroups(t, "app.slice")
	s.apply(t, fourClasses)
	if offload {
		s.segmentAtFar(t)
	}
	inside := must[*lab.Capture](t)(s.Host.Capture("up-b"))
	for _, f := range bothFamilies {
		for _, c := range []struct {
			name string
			do   func(*testing.T, ip)
		}{{"open sockets", s.exchange}, {"nobody's", s.nobodys}} {
			t.Run(fmt.Sprintf("%s/%s", c.name, f), func(t *testing.T) {
				carried, counted, classed := s.carried(t, offload), s.exchanged(t, f), tallyOf(t, s.metered(t), "group").Received.Total()
				c.do(t, f)
				s.quiet(t)
				want := since(carried, s.carried(t, offload))
				if diff := cmp.Diff(want, since(counted, s.exchanged(t, f))); diff != "" {
					t.Errorf("not what the interfaces carried (-interfaces +meter):\n%s", diff)
				}
				if tallyOf(t, s.metered(t), "group").Received.Total() == classed {
					t.Error("the class's sockets received nothing")
				}
			})
		}
	}
	big := func(p lab.Packet) bool { return p.Len > 1500 }
	if packets := must[[]lab.Packet](t)(inside.Packets()); slices.ContainsFunc(packets, big) != offload {
		t.Errorf("a packet of several segments came in: %v: nothing was tested", !offload)
	}
}

// exchange has each class send and receive by connections that stay open.
func (s *site) exchange(t *testing.T, f ip) {
	t.Helper()
	for _, l := range load {
		if l.service == 0 {
			continue
		}
		job := lab.Job{To: []netip.AddrPort{f.service(l.service)}, Cgroup: l.job.Cgroup, UID: l.job.UID, GID: l.job.GID}
		for kind, size := range map[lab.Kind]int{lab.TCP: 300_000, lab.UDP: 900, lab.SendTo: 1} {
			job.Kind = kind
			client := s.open(t, job)
			if r := must[lab.Result](t)(client.Send(3, size)); r.Err() != nil {
				t.Errorf("%s: %s: %v", l.class, kind, r.Err())
			}
		}
	}
}

// nobodys has come in what is of no socket, or of none any more: of connections
// that are over, to ports where nobody is, fragments, the kernel's own, copies, and
// what is forwarded; and for comparison what is a class's.
func (s *site) nobodys(t *testing.T, f ip) {
	t.Helper()
	run := func(n *lab.Node, job lab.Job) {
		t.Helper()
		if r := must[lab.Result](t)(n.Run(job)); r.Err() != nil && r.Errno != "ECONNREFUSED" {
			t.Errorf("%s from %s: %v", job.Kind, n.Name, r.Err())
		}
	}
	job := func(kind lab.Kind, to netip.AddrPort, size int) lab.Job {
		return lab.Job{Kind: kind, To: []netip.AddrPort{to}, Count: 2, Size: size}
	}
	for _, cgroup := range []string{"", "app.slice"} {
		for kind, size := range map[lab.Kind]int{lab.TCP: 100_000, lab.UDP: 4000, lab.Ping: 56, lab.RawPing: 56} {
			to := f.service(1)
			if kind == lab.RawPing {
				to = netip.AddrPortFrom(to.Addr(), 0) // IPv6 takes a port for a protocol
			}
			run(s.Host, in(cgroup, job(kind, to, size)))
		}
	}
	run(s.LAN, job(lab.TCP, f.service(1), 100_000))
	for router := range s.Routers {
		closed := netip.AddrPortFrom(s.address(router, f.service(1).Addr()), 9)
		run(s.Far, job(lab.TCP, closed, 0))
		run(s.Far, job(lab.UDP, closed, 100))
		run(s.Far, job(lab.Ping, closed, 56))
	}
}

// carried is what the interfaces at the other end counted, by uplink and
// direction: those of the routers, or with offload those of the far server,
// where each segment is alone.
func (s *site) carried(t *testing.T, offload bool) map[string]count {
	t.Helper()
	sums := map[string]count{}
	for n, r := range s.Routers {
		node, iface := r, "down"
		if offload {
			node, iface = s.Far, "to-"+s.Uplink(n).Name
		}
		stats := must[lab.Stats](t)(node.Stats(iface))
		sums["out by "+s.Uplink(n).Name] = count{stats.RxPackets, stats.RxBytes}
		sums["in by "+s.Uplink(n).Name] = count{stats.TxPackets, stats.TxBytes}
		if offload {
			// A veth whose other end does GRO counts what it sends there, and without the header.
			sums["in by "+s.Uplink(n).Name] = count{stats.TxPackets, stats.TxBytes + 14*stats.TxPackets}
		}
	}
	return sums
}

// exchanged is what the meter says of one family, of all classes.
func (s *site) exchanged(t *testing.T, f ip) map[string]count {
	t.Helper()
	of := func(v datapath.Volumes) datapath.Volume {
		if f == v6 {
			return v.IPv6
		}
		return v.IPv4
	}
	sums := map[string]count{}
	for _, c := range s.metered(t).Classes {
		for _, u := range c.Traffic {
			for name, v := range map[string]datapath.Volume{"out by " + u.Uplink: of(u.Sent), "in by " + u.Uplink: of(u.Received)} {
				sums[name] = count{sums[name].Packets + v.Packets, sums[name].Bytes + v.Bytes}
			}
		}
	}
	return sums
}

// segmentAtFar has the links of the far server carry single segments, and the
// routers put them together again.
func (s *site) segmentAtFar(t *testing.T) {
	t.Helper()
	for n, r := range s.Routers {
		must[string](t)(r.Command("ip", "link", "set", "dev", "up", "gso_max_segs", "1").Output())
		if err := errors.Join(s.Far.Segment("to-"+s.Uplink(n).Name), r.Aggregate("up")); err != nil {
			t.Fatal(err)
		}
	}
}
