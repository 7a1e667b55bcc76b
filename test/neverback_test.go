// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// following is one who scrapes all the time, and remembers every counter that
// it ever saw.
type following struct {
	client *http.Client
	stop   chan struct{}
	done   chan struct{}

	mu      sync.Mutex
	last    map[string]float64 // counters by name and labels
	scrapes int
	back    map[string]string // those that went back, with the numbers
}

// follow begins to scrape a site's host. Who serves may change meanwhile.
func (s *site) followMetrics(t *testing.T) *following {
	t.Helper()
	f := &following{client: inside(s.Host), stop: make(chan struct{}), done: make(chan struct{}), last: map[string]float64{}, back: map[string]string{}}
	go func() {
		defer close(f.done)
		for {
			if body, err := fetch(f.client, "http://"+exporterAddress+"/metrics"); err == nil {
				f.compare(string(body))
			}
			select {
			case <-f.stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { f.end(t) })
	return f
}

func (f *following) end(t *testing.T) {
	t.Helper()
	select {
	case <-f.stop:
		return
	default:
	}
	close(f.stop)
	<-f.done
	t.Logf("%d scrapes, %d counters", f.scrapes, len(f.last))
	for name, numbers := range f.back {
		t.Errorf("%s went back: %s", name, numbers)
	}
}

// compare takes one scrape up.
func (f *following) compare(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scrapes++
	for name, now := range countersIn(text) {
		if before, known := f.last[name]; known && now < before {
			f.back[name] = fmt.Sprintf("from %g to %g", before, now)
		}
		f.last[name] = now
	}
}

// countersIn are all but what the process that serves says of itself.
func countersIn(text string) map[string]float64 {
	found, counts := map[string]float64{}, false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "# TYPE ") {
			counts = strings.HasPrefix(line, "# TYPE waymark_") && !strings.HasPrefix(line, "# TYPE waymark_exporter_") &&
				(strings.HasSuffix(line, " counter") || strings.HasSuffix(line, " histogram"))
			continue
		}
		if i := strings.LastIndexByte(line, ' '); counts && i > 0 && line[0] != '#' {
			found[line[:i]], _ = strconv.ParseFloat(line[i+1:], 64)
		}
	}
	return found
}

// scraped waits for so many more scrapes.
func (f *following) scraped(t *testing.T, more int) {
	t.Helper()
	f.mu.Lock()
	from := f.scrapes
	f.mu.Unlock()
	soon(t, "it is scraped", func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.scrapes < from+more {
			return fmt.Errorf("%d times", f.scrapes-from)
		}
		return nil
	})
}

// serveMetrics has `waymark metrics` serve until it is told to end.
func (s *site) serveMetrics(t *testing.T) (end func()) {
	t.Helper()
	server := s.Host.Command(binary(t), "metrics", "--listen", exporterAddress)
	server.Stderr = io.Discard
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	end = func() {
		once.Do(func() {
			_ = server.Process.Signal(unix.SIGTERM)
			if err := server.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(end)
	return end
}

// TestNoMetricGoesBack scrapes while policies, numbers, names, builds and who
// serves change under traffic: no counter is ever less than it was, and none
// that is there again begins anew.
func TestNoMetricGoesBack(t *testing.T) {
	other := otherBinary(t)
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	s.apply(t, fourClasses)
	end := s.stream(t, 500)
	defer end()
	server, f := s.serveMetrics(t), s.followMetrics(t)
	f.scraped(t, 1)
	flow := func() {
		for class, to := range map[string]int{"group": 1, "tuple": 2} {
			if r := must[lab.Result](t)(s.Host.Run(lab.Job{Kind: lab.TCP, To: []netip.AddrPort{v4.service(to)}, Cgroup: "app.slice", Count: 5, Size: 100})); r.Err() != nil {
				t.Errorf("class %s: %v", class, r.Err())
			}
		}
		must[lab.Result](t)(s.Host.Run(lab.Job{Kind: lab.UDP, To: []netip.AddrPort{v4.service(1)}, Cgroup: "app.slice", Count: 1, Size: 70_000, NoReply: true})) // which is too big
		f.scraped(t, 2)
	}
	flow()
	renumbered := "mark: {mask: 0x00ff0000}\n" + fourClasses
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"another mask", func() { s.apply(t, renumbered) }},
		{"more uplinks", func() { s.apply(t, strings.Replace(renumbered, uplinkB, uplinkB+uplinkC+unplugged(6), 1)) }},
		{"another name", func() { s.renames(t, "tuple", strings.Replace(fourClasses, "name: tuple", "name: pair", 1)) }},
		{"its name again", func() { s.apply(t, fourClasses) }},
		{"another name of an uplink", func() {
			s.apply(t, strings.NewReplacer("name: b,", "name: z,", "route: [b", "route: [z").Replace(fourClasses))
		}},
		{"that name again", func() { s.apply(t, fourClasses) }},
		{"another number", func() { s.apply(t, strings.Replace(fourClasses, "port, route: [b, a]", "port, route: [b]", 1)) }},
		{"rollback", func() { s.ok(t, "rollback") }},
		{"a move", func() { s.ok(t, "move", "app.slice", "user") }},
		{"its end", func() { s.ok(t, "move", "--undo", "app.slice") }},
		{"another build", func() { s.applyBy(t, other) }},
		{"this build", func() { s.applyBy(t, binary(t)) }},
	} {
		step.do()
		flow()
		if t.Failed() {
			t.Fatalf("at %s", step.name)
		}
	}
	server()
	s.agentsServe(t, flow)
	f.end(t)
}

// renames applies a policy in which a class has another name: what it counted stays
// its uplink's.
func (s *site) renames(t *testing.T, class, policy string) {
	t.Helper()
	had := tallyOf(t, s.metered(t), class).Packets
	s.apply(t, policy)
	if gone := s.metered(t).Uplinks[byB].Gone.Packets; had == 0 || gone < had {
		t.Errorf("%d packets are left of %d of class %s", gone, had, class)
	}
}

// agentsServe has one agent after the other serve, which ends well or is killed.
// Each probes, and puts something back.
func (s *site) agentsServe(t *testing.T, flow func()) {
	t.Helper()
	policy := strings.Replace(fourClasses, "up-b,", `up-b, probe: {icmp: [10.0.2.1], interval: 100ms},`, 1)
	for n := range 3 {
		a := s.agentOn(t, append(s.write(t, policy), "--listen", exporterAddress)...)
		had := s.heals(t, "rule")
		s.shell(t, "ip rule del priority 1001") // that of the probes
		soon(t, "the rule is back", func() error {
			if s.heals(t, "rule") == had {
				return errors.New("no heal")
			}
			return nil
		})
		flow()
		if n == 0 {
			a.kill(t)
		} else {
			a.stop(t)
		}
	}
}
