// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"waymark/bpf"
	"waymark/internal/lab"
	"waymark/internal/metrics"
	"waymark/loader"
)

// ways of the thousand classes of which each may leave by one uplink, or by
// all four.
var scrapeWays = map[string]func(n int) string{
	"each by one uplink": func(n int) string { return string("abcd"[n%4]) },
	"each by four":       func(int) string { return "a, b, c, d" },
}

// TestScrapesOfAThousand fills every counter of 1,000 classes on their uplinks,
// of four, and scrapes: each number is there, and the next scrapes need no more
// memory than those before.
func TestScrapesOfAThousand(t *testing.T) {
	for name, way := range scrapeWays {
		if !*long && len(way(0)) > 1 {
			continue
		}
		t.Run(name, func(t *testing.T) { scrapes(t, way) })
	}
}

func scrapes(t *testing.T, way func(int) string) {
	s := newSite(t, lab.Options{Uplinks: 4})
	var policy strings.Builder
	policy.WriteString("mark: {mask: 0xb73f0000}\n" + threeUplinks + "  - {name: d, interface: up-d, gateway: [10.0.4.1, \"2001:db8:4::1\"]}\nclasses:\n")
	for n := range thousand {
		fmt.Fprintf(&policy, "  - {name: class-%d, route: [%s], match: [{uid: %d}]}\n", n, way(n), firstUser+n)
	}
	s.apply(t, policy.String())
	s.fill(t, func(slot, uplink int) bool {
		return slot > 0 && slot <= thousand && (len(way(0)) > 1 || (slot-1)%4 == uplink)
	})
	s.load(t, func(l *loader.Loader) error {
		m := l.Meter()
		defer m.Close()
		e := metrics.New(metrics.Source{Read: m.Read, Agent: func() (*metrics.Agent, error) { return nil, nil }})
		var text strings.Builder
		if err := e.Write(&text); err != nil {
			return err
		}
		s.complete(t, text.String(), len(way(0)) > 1)
		return flat(t, m, e.Handler(slog.New(slog.DiscardHandler), false))
	})
}

// fill writes counters and times as the programs do. Each word of a line is
// its place in it, on the first CPU.
func (s *site) fill(t *testing.T, busy func(slot, uplink int) bool) {
	t.Helper()
	counters := must[*ebpf.Map](t)(ebpf.LoadPinnedMap(filepath.Join(s.pins(), bpf.WaymarkMapCounters), nil))
	defer counters.Close()
	times := must[*ebpf.Map](t)(ebpf.LoadPinnedMap(filepath.Join(s.pins(), bpf.WaymarkMapTimes), nil))
	defer times.Close()
	const uplinks = 4
	cpus := must[int](t)(ebpf.PossibleCPU())
	for line := range int(counters.MaxEntries()) {
		if !busy(line/uplinks, line%uplinks) {
			continue
		}
		perCPU := make([]bpf.WaymarkClassCounters, cpus)
		perCPU[0] = bpf.WaymarkClassCounters{Packets: 300, Bytes: 3000, Packets6: 100, Bytes6: 1000, Received: 50, ReceivedBytes: 500, Opened: 12, RttNs: 1e9, ConnectNs: 1e9, QueueNs: 1e9}
		if err := counters.Put(uint32(line), perCPU); err != nil {
			t.Fatal(err)
		}
		for kind := range uint8(3) {
			for octave := range uint8(2) {
				key := bpf.WaymarkTimeKey{Slot: uint32(line / uplinks), Uplink: uint8(line % uplinks), Kind: kind, Octave: 17 + octave}
				if err := times.Put(key, bpf.WaymarkTimeOctave{Count: [8]uint64{1, 2, 3, 4, 5, 6, 7, 8}}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// complete looks for each class's numbers in a scrape.
func (s *site) complete(t *testing.T, text string, all bool) {
	t.Helper()
	pairs := map[bool]int{true: 4 * thousand, false: thousand}[all]
	for line, want := range map[string]int{
		`,family="ipv4"} 200`: pairs, `,family="ipv6"} 1000`: pairs, `,le="0.0078125"} 0`: 3 * pairs,
		`,le="0.015625"} 36`: 3 * pairs, `,le="+Inf"} 72`: 3 * pairs,
	} {
		if n := strings.Count(text, line+"\n"); n != want {
			t.Errorf("%d lines of a scrape have %s, want %d", n, line, want)
		}
	}
	t.Logf("%d lines, %d bytes", strings.Count(text, "\n"), len(text))
}

// inProtobuf is what Prometheus accepts when it wants native histograms.
const inProtobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

// flat scrapes again and again: what is allocated is given back.
func flat(t *testing.T, m *loader.Meter, h http.Handler) error {
	const rounds = 20
	begun := cpuTime()
	for range rounds {
		if _, err := m.Read(); err != nil {
			return err
		}
	}
	t.Logf("reading takes %s of CPU time", (cpuTime()-begun)/rounds)
	for _, accept := range []string{"text/plain", inProtobuf} {
		scrape := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		scrape.Header.Set("Accept", accept)
		begun, before := cpuTime(), uint64(0)
		for round := range rounds {
			h.ServeHTTP(&nowhere{http.Header{}}, scrape)
			if round == rounds/2 {
				before = inUse()
			}
		}
		t.Logf("a whole scrape takes %s, as %s", (cpuTime()-begun)/rounds, accept)
		if after := inUse(); after > before+before/20 {
			t.Errorf("after %d more scrapes %d bytes are in use, %d were", rounds/2, after, before)
		}
	}
	return nil
}

func inUse() uint64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// nowhere is where an answer goes that nobody reads.
type nowhere struct{ header http.Header }

func (w *nowhere) Header() http.Header         { return w.header }
func (w *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (w *nowhere) WriteHeader(int)             {}
