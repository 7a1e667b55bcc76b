// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/datapath"
	"waymark/internal/lab"
)

// TestLatency has a router hold packets back, and compares the round-trip and
// connect times that were counted with what the kernel says of the same
// connections (ss -ti) and with what a capture on the host has.
func TestLatency(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.apply(t, fourClasses)
	s.sampled(t, 30*datapath.RTTEach)
	inside := must[*lab.Capture](t)(s.Host.Capture("up-b"))
	// What a busy machine adds is more of the shorter time.
	for each, within := range map[time.Duration]float64{5 * time.Millisecond: 0.1, 40 * time.Millisecond: 0.05} {
		for _, f := range bothFamilies {
			t.Run(fmt.Sprintf("%s/%s", 2*each, f), func(t *testing.T) {
				delay := must[*lab.Delay](t)(s.Delay(byB, each, nil))
				// A machine that stops between two packets moves ss's weighted mean alone.
				soon(t, "what is counted is near to what is said", func() error { return s.timed(t, inside, f, 2*each, within) })
				if err := delay.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// sampled makes a connection whose round trips are not all counted, but as if
// they were.
func (s *site) sampled(t *testing.T, trips int) {
	t.Helper()
	c := s.open(t, lab.Job{Kind: lab.TCP, To: []netip.AddrPort{v4.service(1)}, Cgroup: "app.slice"})
	for range trips {
		must[lab.Result](t)(c.Send(1, 100))
	}
	rtt := tallyOf(t, s.metered(t), "group").RTT
	if err := near("how many round trips there were", float64(rtt.Count), float64(trips), 0.1); err != nil {
		t.Error(err)
	}
}

// timed compares the times of five connections, each of ten round trips that
// take a time at least.
func (s *site) timed(t *testing.T, inside *lab.Capture, f ip, least time.Duration, within float64) error {
	t.Helper()
	s.drain(t)
	must[[]lab.Packet](t)(inside.Packets())
	before := tallyOf(t, s.metered(t), "group")
	var said []float64
	for range 5 {
		c := s.open(t, lab.Job{Kind: lab.TCP, To: []netip.AddrPort{f.service(1)}, Cgroup: "app.slice"})
		for range 10 {
			must[lab.Result](t)(c.Send(1, 100))
		}
		said = append(said, s.ss(t, c.Opened.Local, ` rtt:([0-9.]+)/`)/1e3)
	}
	now := tallyOf(t, s.metered(t), "group")
	rtt, connect := now.RTT.Since(before.RTT), now.Connect.Since(before.Connect)
	if rtt.Count < 50 || connect.Count != 5 {
		t.Fatalf("%d round trips and %d connects were counted, want 50 at least, and 5", rtt.Count, connect.Count)
	}
	if d := least.Seconds(); rtt.Sum < d*float64(rtt.Count) {
		t.Errorf("%d round trips took %g s: each takes %g at least", rtt.Count, rtt.Sum, d)
	}
	return errors.Join(
		near("round-trip time, beside ss", rtt.Sum/float64(rtt.Count), mean(said), within),
		near("connect time, beside the capture", connect.Sum/5, s.captured(t, inside), within),
		near("the middle of the round-trip times, beside ss", rtt.Quantile(0.5), mean(said), 0.1))
}

// TestRetransmits has a router lose one segment in ten.
func TestRetransmits(t *testing.T) {
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.apply(t, fourClasses)
	inside, lost := 0, 0
	delay := must[*lab.Delay](t)(s.Delay(byB, time.Millisecond, func(packet []byte) bool {
		if packet[0]>>4 == 4 && packet[9] == unix.IPPROTO_TCP && len(packet) > 100 {
			if inside++; inside%10 == 0 {
				lost++
				return true
			}
		}
		return false
	}))
	defer delay.Close()
	c := s.open(t, lab.Job{Kind: lab.TCP, To: []netip.AddrPort{v4.service(1)}, Cgroup: "app.slice", Timeout: 20 * time.Second})
	if r := must[lab.Result](t)(c.Send(1, 400_000)); r.Err() != nil {
		t.Fatal(r.Err())
	}
	said := s.ss(t, c.Opened.Local, `retrans:\d+/(\d+)`)
	if err := delay.Close(); err != nil {
		t.Error(err)
	}
	got := tallyOf(t, s.metered(t), "group")
	if float64(got.Retransmitted) != said || got.Retransmitted < uint64(lost) || lost == 0 || got.Segments < uint64(inside) {
		t.Errorf("%d of %d segments were sent again: ss says %g of them, %d of %d were lost", got.Retransmitted, got.Segments, said, lost, inside)
	}
}

// ss is a number that ss says of a connection.
func (s *site) ss(t *testing.T, local netip.AddrPort, pattern string) float64 {
	t.Helper()
	text := must[string](t)(s.Host.Command("ss", "-tinH", "sport", "=", fmt.Sprint(local.Port())).Output())
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("ss says nothing like %s of %s: %s", pattern, local, text)
	}
	return must[float64](t)(strconv.ParseFloat(found[1], 64))
}

// captured is the mean time from a SYN that the router got to the SYN-ACK that
// the host got.
func (s *site) captured(t *testing.T, inside *lab.Capture) float64 {
	t.Helper()
	const syn, ack = 2, 16
	begun := map[netip.AddrPort]time.Time{}
	for _, p := range must[[]lab.Packet](t)(s.captures[byB].Packets()) {
		if p.TCPFlags&(syn|ack) == syn {
			begun[p.Src] = p.Time
		}
	}
	var times []float64
	for _, p := range must[[]lab.Packet](t)(inside.Packets()) {
		if at, ok := begun[p.Dst]; ok && p.TCPFlags&(syn|ack) == syn|ack {
			times = append(times, p.Time.Sub(at).Seconds())
		}
	}
	return mean(times)
}

func mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func near(what string, got, want, within float64) error {
	if !(math.Abs(got-want) <= within*want) {
		return fmt.Errorf("%s: %g s counted, %g s said: more than %g %% apart", what, got, want, 100*within)
	}
	return nil
}
