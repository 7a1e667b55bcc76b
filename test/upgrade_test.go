// SPDX-License-Identifier: Apache-2.0

package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/datapath"
	"waymark/internal/lab"
	"waymark/loader"
)

// TestUpgrade replaces the binary by one of another build and back, and
// applies again and again, under traffic of four classes, by sockets old and
// new: no packet leaves by a wrong uplink, none goes uncounted, and none is
// counted twice.
func TestUpgrade(t *testing.T) {
	other := otherBinary(t)
	s := newSite(t, lab.Options{})
	s.cgroups(t, "app.slice")
	s.apply(t, fourClasses)
	before := s.received(t)
	end := s.stream(t, many(5_000, 12_500))
	last := s.counted(t)
	for n := range many(5, 20) {
		for k := range 1 + many(2, 5) {
			want := "nothing to change: the kernel holds this policy"
			if k == 0 {
				want = "the policy is in force as it was; the programs are this build's now"
			}
			if out := s.applyBy(t, []string{other, binary(t)}[n%2]); !strings.HasPrefix(out, want) {
				t.Errorf("apply %d of upgrade %d says %q, want %q", k, n, out, want)
			}
		}
		s.seen.add(t, s.pins())
		last = s.noLess(t, fmt.Sprintf("upgrade %d", n), last)
	}
	s.balances(t, before, end())
}

// balances checks, once all is quiet, that what was counted is what the
// interfaces received since, and what was sent.
func (s *site) balances(t *testing.T, before map[string]count, sent map[string]uint64) {
	t.Helper()
	s.quiet(t)
	if diff := cmp.Diff(since(before, s.received(t)), s.counted(t).byUplink()); diff != "" {
		t.Errorf("the sums of all classes are not what the interfaces received (-router +status):\n%s", diff)
	}
	s.onCourse(t, sent)
}

// onCourse checks that all that the classes sent was counted as theirs, on
// their uplinks, and was never anywhere else.
func (s *site) onCourse(t *testing.T, sent map[string]uint64) {
	t.Helper()
	total := uint64(0)
	for _, c := range s.status(t).Classes {
		var packets uint64
		for _, u := range c.Counts {
			packets += u.Packets
			if u.Misroutes+u.Causes.Chosen+u.Dropped+u.Repaired > 0 {
				t.Errorf("class %s at %s: %+v, want no misroutes", c.Name, u.Uplink, u.Counters)
			}
		}
		if want, ours := sent[c.Name]; ours && packets != want {
			t.Errorf("class %s: %d packets counted, want the %d that were sent", c.Name, packets, want)
		}
		total += packets
	}
	t.Logf("%d packets", total)
}

// TestCountersGoOn changes what makes an instance anew, or gives a class
// another number: the counters of the classes that stay never go back.
func TestCountersGoOn(t *testing.T) {
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	s.apply(t, fourClasses)
	end := s.stream(t, 500)
	last, sample := s.counted(t), s.metered(t)
	for _, c := range []struct{ name, policy string }{
		{"another mask", "mark: {mask: 0x00ff0000}\n" + fourClasses},
		{"one more uplink", "mark: {mask: 0x00ff0000}\n" + strings.Replace(fourClasses, uplinkB, uplinkB+uplinkC, 1)},
		{"another number", strings.Replace(fourClasses, "port, route: [b, a]", "port, route: [b]", 1)},
		{"another class's name", strings.Replace(fourClasses, "name: tuple", "name: pair", 1)},
		{"nine uplinks", strings.Replace(fourClasses, uplinkB, uplinkB+unplugged(7), 1)},
		{"as before", fourClasses},
	} {
		s.apply(t, c.policy)
		last = s.noLess(t, c.name, last)
		sample = s.noneLess(t, c.name, sample)
		for _, class := range []string{"group", "tuple"} {
			to := map[string]int{"group": 1, "tuple": 2}[class]
			must[lab.Result](t)(s.Host.Run(lab.Job{Kind: lab.TCP, To: []netip.AddrPort{v4.service(to)}, Cgroup: "app.slice", Count: 5, Size: 100}))
		}
	}
	end()
}

// noneLess checks that nothing at all that a meter reads has gone back.
func (s *site) noneLess(t *testing.T, when string, last *loader.Sample) *loader.Sample {
	t.Helper()
	now := s.metered(t)
	for _, l := range last.Lines {
		for _, n := range now.Lines {
			if n.Class == l.Class && n.Text == l.Text && n.Hits < l.Hits {
				t.Errorf("%s: the hits of %s of class %s went from %d back to %d", when, l.Text, l.Class, l.Hits, n.Hits)
			}
		}
	}
	for _, c := range last.Classes {
		if !slices.ContainsFunc(now.Classes, func(n loader.ClassSample) bool { return n.Name == c.Name }) {
			continue
		}
		before, after := numbersIn(t, tallyOf(t, last, c.Name)), numbersIn(t, tallyOf(t, now, c.Name))
		for name, n := range before {
			if after[name] < n {
				t.Errorf("%s: %s of class %s went from %g back to %g", when, name, c.Name, n, after[name])
			}
		}
	}
	return now
}

// numbersIn are all numbers in a tally but the places of its histograms, by
// their path in JSON.
func numbersIn(t *testing.T, tally datapath.Tally) map[string]float64 {
	t.Helper()
	numbers := map[string]float64{}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		switch v := value.(type) {
		case float64:
			numbers[path] = v
		case []any:
			for k, each := range v {
				walk(fmt.Sprintf("%s/%d", path, k), each)
			}
		case map[string]any:
			delete(v, "first")
			for k, each := range v {
				walk(path+"/"+k, each)
			}
		}
	}
	var value any
	if err := json.Unmarshal(must[[]byte](t)(json.Marshal(tally)), &value); err != nil {
		t.Fatal(err)
	}
	walk("", value)
	return numbers
}

// unplugged are uplinks whose interfaces are not there.
func unplugged(n int) (text string) {
	for k := range n {
		text += fmt.Sprintf("  - {name: x%d, interface: no-%d, gateway: none}\n", k, k)
	}
	return text
}

// applyBy applies the policy that is in the site's file by a binary, and returns
// what it says.
func (s *site) applyBy(t *testing.T, binary string) string {
	t.Helper()
	args := append([]string{"apply"}, s.write(t, fourClasses)...)
	out, err := s.Host.Command(binary, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", binary, err, out)
	}
	return string(out)
}

// noLess checks that no class that is there has counted less than last.
func (s *site) noLess(t *testing.T, when string, last tally) tally {
	t.Helper()
	now := tally{}
	for _, c := range s.status(t).Classes {
		for _, u := range c.Counts {
			n, before := count{u.Packets, u.Bytes}, last[c.Name][u.Uplink]
			if n.Packets < before.Packets || n.Bytes < before.Bytes {
				t.Errorf("%s: class %s at %s went from %v back to %v", when, c.Name, u.Uplink, before, n)
			}
			now.add(c.Name, u.Uplink, n)
		}
	}
	return now
}

// stream has each class of the load send so many datagrams a second, from a
// socket that stays and from new ones, until it is told to end. It returns
// what each class sent.
func (s *site) stream(t *testing.T, rate int) (end func() map[string]uint64) {
	t.Helper()
	stop, sent := make(chan struct{}), map[string]uint64{}
	var all sync.WaitGroup
	var lock sync.Mutex
	for _, l := range load {
		if l.class == "unclassed" {
			continue
		}
		job := l.job
		job.Kind, job.NoReply = lab.UDP, true
		job.To = []netip.AddrPort{v4.service(l.service)}
		all.Go(func() {
			n, err := s.pour(t, job, rate, stop)
			lock.Lock()
			defer lock.Unlock()
			if sent[l.class] = n; err != nil {
				t.Errorf("class %s: %v", l.class, err)
			}
		})
	}
	return func() map[string]uint64 {
		t.Helper()
		close(stop)
		all.Wait()
		return sent
	}
}

// pour sends at a rate, and ten times a second from a new socket, too. Its socket
// stays until the test ends: a late answer to one that is closed would have the
// host send an ICMP error, which is of the class as well.
func (s *site) pour(t *testing.T, job lab.Job, rate int, stop <-chan struct{}) (sent uint64, err error) {
	const tick = 10 * time.Millisecond
	stays, err := s.Host.Open(job)
	if err != nil {
		return 0, err
	}
	t.Cleanup(func() { stays.Close() })
	for n := 0; ; n++ {
		select {
		case <-stop:
			return sent, nil
		case <-time.After(tick):
		}
		r, err := stays.Send(rate/100, 100)
		sent += uint64(r.Sent)
		if err != nil || r.Err() != nil {
			return sent, errors.Join(err, r.Err())
		}
		if n%10 > 0 {
			continue
		}
		once := job
		once.Count, once.Size, once.NoReply = 3, 100, false
		c, err := s.Host.Open(once)
		if err != nil {
			return sent, err
		}
		sent += uint64(c.Opened.Sent)
		if err := c.Close(); err != nil || c.Opened.Err() != nil {
			return sent, errors.Join(err, c.Opened.Err())
		}
	}
}
