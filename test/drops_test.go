// SPDX-License-Identifier: Apache-2.0

package test

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"waymark/bpf"
	"waymark/internal/datapath"
	"waymark/internal/lab"
	"waymark/loader"
)

// TestDrops has the kernel drop packets for reasons that it tells: of nobody,
// and of a class whose socket is not read.
func TestDrops(t *testing.T) {
	s := newSite(t, lab.Options{LAN: true, Forward: true, RPFilter: 1})
	s.cgroups(t, "app.slice")
	s.apply(t, fourClasses)
	host := netip.MustParseAddrPort("192.168.50.1:9")
	for _, c := range []struct {
		class, reason, place string
		packets              uint64
		do                   func()
	}{
		{loader.Unclassed, "IP_RPFILTER", "ip_r", 1, func() {
			s.inject(t, s.LAN, "eth0", datagram{from: netip.MustParseAddr("198.51.100.9"), to: host.Addr(), dport: 9}.bytes())
		}},
		{loader.Unclassed, "NO_SOCKET", "__udp4", 3, func() {
			must[lab.Result](t)(s.LAN.Run(lab.Job{Kind: lab.SendTo, To: []netip.AddrPort{host}, Count: 3, Size: 1, NoReply: true}))
		}},
		{"group", "SOCKET_RCVBUFF", "", 1, func() {
			c := s.open(t, lab.Job{Kind: lab.UDP, To: []netip.AddrPort{v4.service(1)}, Cgroup: "app.slice", NoReply: true})
			must[lab.Result](t)(c.Send(3000, 1))
		}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			before := dropsOf(s.metered(t), c.class, c.reason, c.place)
			c.do()
			var got uint64
			for deadline := time.Now().Add(5 * time.Second); got < c.packets && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
				got = dropsOf(s.metered(t), c.class, c.reason, c.place) - before
			}
			if got != c.packets && c.class == loader.Unclassed || got < c.packets {
				t.Errorf("%d packets of %s were dropped for %s in %q..., want %d; in all: %+v", got, c.class, c.reason, c.place, c.packets, s.metered(t).Drops)
			}
		})
	}
}

// TestNoRoomForDrops fills the map of drops, which is said.
func TestNoRoomForDrops(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.apply(t, fourClasses)
	m := must[*ebpf.Map](t)(ebpf.LoadPinnedMap(filepath.Join(s.pins(), bpf.WaymarkMapDrops), nil))
	defer m.Close()
	isSaid := func() bool {
		return slices.ContainsFunc(s.metered(t).Off, func(text string) bool { return strings.HasPrefix(text, "Drops for a reason") })
	}
	if isSaid() {
		t.Error("it is said while there is room")
	}
	for n := uint64(0); m.Put(bpf.WaymarkDropKey{Location: n}, n) == nil; n++ {
	}
	if !isSaid() {
		t.Error("it is not said")
	}
}

// TestNothingIsDroppedAtAClose has a client close its connections before the
// server does, whose last FIN then ends in a queue that nobody reads.
func TestNothingIsDroppedAtAClose(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.apply(t, fourClasses)
	for range 5 {
		must[lab.Result](t)(s.Host.Run(lab.Job{Kind: lab.TCP, To: []netip.AddrPort{v4.service(1)}, Cgroup: "app.slice", Count: 1, Size: 1}))
	}
	s.quiet(t)
	for _, d := range s.metered(t).Drops {
		if d.Reason == "QUEUE_PURGE" {
			t.Errorf("%d packets of %s are said to be dropped in %s", d.Packets, d.Class, d.Place)
		}
	}
}

func dropsOf(s *loader.Sample, class, reason, place string) (packets uint64) {
	for _, d := range s.Drops {
		if d.Class == class && d.Reason == reason && strings.HasPrefix(d.Place, place) {
			packets += d.Packets
		}
	}
	return packets
}

// TestQueue holds back what leaves, and looks whether the times say so.
func TestQueue(t *testing.T) {
	for _, offload := range []bool{false, true} {
		s := newSite(t, lab.Options{Offload: offload})
		s.cgroups(t, "app.slice")
		s.apply(t, fourClasses)
		send := func(count int) {
			t.Helper()
			job := lab.Job{Kind: lab.UDP, To: []netip.AddrPort{v4.service(1)}, Cgroup: "app.slice", Count: count, Size: 1000, NoReply: true}
			if r := must[lab.Result](t)(s.Host.Run(job)); r.Err() != nil {
				t.Error(r.Err())
			}
			job.Kind, job.Count = lab.TCP, 640 // more answers, which nobody reads, fill the way back, and then this one
			if r := must[lab.Result](t)(s.Host.Run(job)); r.Err() != nil {
				t.Error(r.Err())
			}
		}
		send(6400)
		s.quiet(t)
		free := tallyOf(t, s.metered(t), "group")
		if free.Queue.Count < free.Packets/128 || free.Queue.Count > free.Packets/64+1 {
			t.Errorf("%d of %d packets were sampled, want one in 64, or less where they are many in one", free.Queue.Count, free.Packets)
		}
		if p50 := free.Queue.Quantile(0.5); !(p50 < 1e-3) {
			t.Errorf("half of the packets wait for more than %g s with nothing before them", p50)
		}
		// A bucket of tokens lets a packet of 1,042 bytes go every 0.8 ms, and takes
		// what its sender may have under way.
		must[string](t)(s.Host.Command("tc", "qdisc", "add", "dev", "up-b", "root", "tbf", "rate", "10mbit", "burst", "2k", "limit", "10m").Output())
		begin := time.Now()
		send(640)
		s.quiet(t)
		took := time.Since(begin).Seconds()
		must[string](t)(s.Host.Command("tc", "qdisc", "del", "dev", "up-b", "root").Output())
		held := tallyOf(t, s.metered(t), "group").Queue.Since(free.Queue)
		// TCP, which has half of the packets, keeps few under way.
		if p75 := held.Quantile(0.75); !(p75 > 20*0.8e-3) || held.Quantile(1) > took {
			t.Errorf("a quarter of %d packets wait for %g s or more, all for less than %g s; want at least that of 20 packets, and no more than all took, %g s", held.Count, p75, held.Quantile(1), took)
		}
	}
}

// TestQueueOfBursts sends as many packets at once as one sample is taken of, again
// and again: its place among them must not be the same each time.
func TestQueueOfBursts(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.apply(t, fourClasses)
	must[string](t)(s.Host.Command("tc", "qdisc", "add", "dev", "up-b", "root", "tbf", "rate", "40mbit", "burst", "2k", "limit", "10m").Output())
	c := s.open(t, lab.Job{Kind: lab.UDP, To: []netip.AddrPort{v4.service(1)}, Cgroup: "app.slice", NoReply: true})
	const each, bursts = 1042 * 8 / 40e6, 60
	for range bursts {
		must[lab.Result](t)(c.Send(datapath.QueueSample, 1000))
		time.Sleep(20 * time.Millisecond) // longer than a burst takes
	}
	s.quiet(t)
	must[string](t)(s.Host.Command("tc", "qdisc", "del", "dev", "up-b", "root").Output())
	queue, longest := tallyOf(t, s.metered(t), "group").Queue, float64(datapath.QueueSample)*each
	if mean := queue.Sum / float64(queue.Count); !(mean > 0.35*longest && mean < 0.65*longest) {
		t.Errorf("%d samples waited for %g s in the mean: a burst's packets wait for up to %g, evenly", queue.Count, mean, longest)
	}
}
