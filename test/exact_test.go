// SPDX-License-Identifier: Apache-2.0

package test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/lab"
)

const fourClasses = twoUplinks + `
classes:
  - {name: tuple, route: [b], match: [{dst: [203.0.113.2, "2001:db8:f::2"]}]}
  - {name: port, route: [b, a], match: [{dst: [203.0.113.3, "2001:db8:f::3"], dport: 7}]}
  - {name: user, route: [a], match: [{uid: 2000}]}
  - {name: group, route: [b], otherwise: unreachable, match: [{cgroup: app.slice}]}
`

// load is the traffic of each class, told apart at the routers by its
// destination.
var load = []struct {
	class   string
	service int
	uplink  int
	job     lab.Job
}{
	{"tuple", 2, byB, lab.Job{}},
	{"port", 3, byB, lab.Job{}},
	{"user", 4, byA, lab.Job{UID: 2000, GID: 2000}},
	{"group", 1, byB, lab.Job{Cgroup: "app.slice/x"}},
	{"unclassed", 0, byA, lab.Job{}}, // to the far server's address on the link to a's router
}

// A count is packets and bytes, link headers included.
type count struct{ Packets, Bytes uint64 }

// A tally is counts by class and uplink.
type tally map[string]map[string]count

func (y tally) add(class, uplink string, c count) {
	if c == (count{}) {
		return
	}
	if y[class] == nil {
		y[class] = map[string]count{}
	}
	sum := y[class][uplink]
	y[class][uplink] = count{sum.Packets + c.Packets, sum.Bytes + c.Bytes}
}

// TestExactCounts holds what status says against what the routers'
// interfaces counted and what was captured there, to the packet and byte.
func TestExactCounts(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.apply(t, fourClasses)
	before := s.received(t)
	captured := s.counting(t, classByDestination)
	for _, l := range load {
		for _, f := range ips {
			s.bear(t, l.class, l.service, f, l.job)
		}
	}
	s.alternate(t)
	s.quiet(t)
	links, total := s.received(t), uint64(0)
	for uplink, c := range links {
		c = count{c.Packets - before[uplink].Packets, c.Bytes - before[uplink].Bytes}
		links[uplink] = c
		total += c.Packets
	}
	if total < 100_000 {
		t.Errorf("%d packets are no test of exactness", total)
	}
	t.Logf("%d packets", total)
	ours := s.counted(t)
	if diff := cmp.Diff(links, ours.byUplink()); diff != "" {
		t.Errorf("the sums of all classes are not what the interfaces received (-router +status):\n%s", diff)
	}
	if diff := cmp.Diff(captured(), ours); diff != "" {
		t.Errorf("the classes' counts are not what was captured (-router +status):\n%s", diff)
	}
}

// bear sends one class's traffic of one family: datagrams of several sizes,
// fragments among them, by both kinds of socket, and streams.
func (s *site) bear(t *testing.T, class string, service int, f ip, job lab.Job) {
	t.Helper()
	to := f.service(service)
	if class == "unclassed" {
		to = netip.AddrPortFrom(f.onLink(), servicePort)
	}
	job.To, job.Mapped = []netip.AddrPort{to}, f == mapped
	for _, c := range []struct {
		kind         lab.Kind
		rounds, size int
	}{{lab.UDP, 12, 1}, {lab.UDP, 3, 1400}, {lab.SendTo, 12, 200}, {lab.TCP, 8, 900}, {lab.UDP, 3, 3000}} {
		job.Kind = c.kind
		client := must[*lab.Client](t)(s.Host.Open(job))
		for range c.rounds {
			// No more at once than the sockets' buffers hold of the answers.
			if r := must[lab.Result](t)(client.Send(200, c.size)); r.Err() != nil {
				t.Errorf("%s, %s: %v", class, c.kind, r.Err())
			}
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

// alternate sends from one socket to one class after the other.
func (s *site) alternate(t *testing.T) {
	t.Helper()
	for _, f := range ips {
		job := lab.Job{Kind: lab.SendTo, Mapped: f == mapped, Count: 100, Size: 2000}
		for _, n := range []int{2, 3, 2} {
			job.To = append(job.To, f.service(n), netip.AddrPortFrom(f.onLink(), servicePort))
		}
		if r := must[lab.Result](t)(s.Host.Run(job)); r.Err() != nil {
			t.Error(r.Err())
		}
	}
}

// onLink is the far server's address on the link to the first router.
func (f ip) onLink() netip.Addr {
	if f == v6 {
		return netip.MustParseAddr("2001:db8:1:1::2")
	}
	return netip.MustParseAddr("10.1.1.2")
}

func classByDestination(to netip.Addr) string {
	for _, l := range load {
		if l.service > 0 && (to == lab.Service4(l.service) || to == lab.Service6(l.service)) {
			return l.class
		}
	}
	return "unclassed"
}

// received is what the routers' interfaces counted, by uplink.
func (s *site) received(t *testing.T) map[string]count {
	t.Helper()
	sums := map[string]count{}
	for n, r := range s.Routers {
		stats := must[lab.Stats](t)(r.Stats("down"))
		sums[s.Uplink(n).Name] = count{stats.RxPackets, stats.RxBytes}
	}
	return sums
}

// quiet waits until no interface of the routers counts any more.
func (s *site) quiet(t *testing.T) {
	t.Helper()
	for last, since := s.received(t), time.Now(); time.Since(since) < 100*time.Millisecond; time.Sleep(5 * time.Millisecond) {
		if now := s.received(t); !cmp.Equal(now, last) {
			last, since = now, time.Now()
		}
	}
}

// counting tallies what the routers get while it goes on. What is captured
// has no Ethernet header, which is 14 bytes.
func (s *site) counting(t *testing.T, class func(to netip.Addr) string) (end func() tally) {
	t.Helper()
	sum, stop, done := tally{}, make(chan bool), make(chan error)
	s.drain(t)
	read := func() error {
		for n, c := range s.captures {
			packets, err := c.Packets()
			for _, p := range packets {
				sum.add(class(p.Dst.Addr()), s.Uplink(n).Name, count{1, uint64(p.Len) + 14})
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	go func() {
		for {
			select {
			case <-stop:
				done <- read()
				return
			case <-time.After(10 * time.Millisecond):
				if err := read(); err != nil {
					done <- err
					return
				}
			}
		}
	}()
	return func() tally {
		select {
		case stop <- true:
		case err := <-done:
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		return sum
	}
}

// counted is what status says.
func (s *site) counted(t *testing.T) tally {
	t.Helper()
	sum := tally{}
	for _, c := range s.status(t).Classes {
		for _, u := range c.Counts {
			sum.add(c.Name, u.Uplink, count{u.Packets, u.Bytes})
		}
	}
	return sum
}

func (y tally) byUplink() map[string]count {
	sums := map[string]count{}
	for _, uplinks := range y {
		for name, c := range uplinks {
			sums[name] = count{sums[name].Packets + c.Packets, sums[name].Bytes + c.Bytes}
		}
	}
	return sums
}
