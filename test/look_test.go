// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// looking is what an agent used while it was looked at.
type looking struct {
	agent  *agentRun
	shown  chan int64 // bytes of the page, when it ends
	page   io.Closer
	begun  time.Time
	used   time.Duration
	memory []uint64 // its own of the machine's, in KiB, after every scrape
	live   []uint64 // bytes at which its heap is collected next, twice those in use, as every scrape says
	stop   chan struct{}
	done   chan error
}

// look has the page open, scrapes as often as Prometheus's own example of a
// configuration does, and notes the agent's memory.
func (s *site) look(t *testing.T, a *agentRun) *looking {
	t.Helper()
	client := inside(s.Host)
	page := must[*http.Response](t)(client.Get("http://" + exporterAddress + "/events")).Body
	l := &looking{agent: a, page: page, shown: make(chan int64, 1), begun: time.Now(), used: a.processorTime(t), stop: make(chan struct{}), done: make(chan error, 1)}
	t.Cleanup(func() { page.Close() })
	go func() {
		n, _ := io.Copy(io.Discard, page) // until it is closed
		l.shown <- n
	}()
	go func() { l.done <- l.scrape(client) }()
	return l
}

func (l *looking) scrape(client *http.Client) error {
	for {
		text, err := fetch(client, "http://"+exporterAddress+"/metrics")
		if err != nil {
			return err
		}
		l.memory = append(l.memory, l.agent.resident())
		if m := nextCollection.FindSubmatch(text); m != nil {
			bytes, _ := strconv.ParseFloat(string(m[1]), 64)
			l.live = append(l.live, uint64(bytes))
		}
		select {
		case <-l.stop:
			return nil
		case <-time.After(15 * time.Second):
		}
	}
}

var nextCollection = regexp.MustCompile(`(?m)^go_memstats_next_gc_bytes (\S+)$`)

// end compares the memory of the last third of the time with that of the third
// before: in the first, the page comes to have what it shows percentiles of.
func (l *looking) end(t *testing.T) {
	t.Helper()
	used, lasted := l.agent.processorTime(t)-l.used, time.Since(l.begun)
	close(l.stop)
	if err := <-l.done; err != nil {
		t.Fatal(err)
	}
	l.page.Close()
	t.Logf("the agent used %s of CPU time in %s (%.2f %% of a core), with %d scrapes and %d bytes of the page; it had %d KiB of memory; its heap is collected at %d bytes",
		used, lasted.Round(time.Millisecond), 100*used.Seconds()/lasted.Seconds(), len(l.memory), <-l.shown, l.memory, l.live)
	if !*long || len(l.memory) < 3 {
		return // it has hardly begun
	}
	if used > lasted/50 {
		t.Errorf("the agent used %s of CPU time in %s, want a fiftieth at most", used, lasted)
	}
	if before, after := thirds(l.memory, slices.Max); after > before+before/4 {
		t.Errorf("the agent's memory grew from %d to %d KiB", before, after)
	}
	if before, after := thirds(l.live, slices.Min); after > before+before/10 {
		t.Errorf("what the agent has in use grew from %d to %d bytes", before/2, after/2)
	}
}

// thirds is what is said of the second and the last third of some numbers.
func thirds(of []uint64, say func([]uint64) uint64) (before, after uint64) {
	n := len(of) / 3
	return say(of[n : len(of)-n]), say(of[len(of)-n:])
}

// resident is what an agent has of the memory, in KiB; 0: it is gone.
func (r *agentRun) resident() (kib uint64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.Process.Pid))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			_, _ = fmt.Sscan(rest, &kib)
		}
	}
	return kib
}

var transmitted = regexp.MustCompile(`(?m)^waymark_class_transmit_(packets|bytes)_total\{class="([^"]+)",uplink="([^"]+)",family="[^"]+"\} (\S+)$`)

// scraped is what the exporter says that each class sent.
func (s *site) scraped(t *testing.T) tally {
	t.Helper()
	sum := tally{}
	for _, m := range transmitted.FindAllStringSubmatch(string(must[[]byte](t)(fetch(inside(s.Host), "http://"+exporterAddress+"/metrics"))), -1) {
		n := uint64(must[float64](t)(strconv.ParseFloat(m[4], 64)))
		if m[1] == "packets" {
			sum.add(m[2], m[3], count{Packets: n})
		} else {
			sum.add(m[2], m[3], count{Bytes: n})
		}
	}
	delete(sum, "unclassed")
	return sum
}
