// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/lab"
)

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

func (y tally) byUplink() map[string]count {
	sums := map[string]count{}
	for _, uplinks := range y {
		for name, c := range uplinks {
			sums[name] = count{sums[name].Packets + c.Packets, sums[name].Bytes + c.Bytes}
		}
	}
	return sums
}

// since is what was counted after an earlier reading.
func since(before, now map[string]count) map[string]count {
	more := map[string]count{}
	for name, c := range now {
		more[name] = count{c.Packets - before[name].Packets, c.Bytes - before[name].Bytes}
	}
	return more
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
	for last, since := s.received(t), time.Now(); time.Since(since) < 100*time.Millisecond; time.Sleep(20 * time.Millisecond) {
		if now := s.received(t); !cmp.Equal(now, last) {
			last, since = now, time.Now()
		}
	}
}

// counting tallies what the routers get until it is told to end.
func (s *site) counting(t *testing.T, class func(to netip.Addr) string) (end func() tally) {
	t.Helper()
	sum, stop, done := tally{}, make(chan bool), make(chan error, 1)
	s.drain(t)
	go func() {
		for {
			err := s.read(sum, class)
			select {
			case <-stop:
				done <- errors.Join(err, s.read(sum, class))
				return
			case <-time.After(10 * time.Millisecond):
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	return func() tally {
		t.Helper()
		close(stop)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		return sum
	}
}

// read adds what the routers got since it was called last. What is captured
// has no Ethernet header, which is 14 bytes.
func (s *site) read(sum tally, class func(to netip.Addr) string) error {
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
