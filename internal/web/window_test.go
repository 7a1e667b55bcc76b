// SPDX-License-Identifier: Apache-2.0

package web

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/datapath"
	"waymark/loader"
)

// TestWindow reads a class whose times grow at both ends of its histogram: what
// is kept of earlier readings gives the percentiles that the whole of them would.
func TestWindow(t *testing.T) {
	var whole []datapath.Histogram
	r := newReader(PageOptions{})
	for n := range 3 * windowSize {
		h := datapath.Histogram{Schema: 3, First: -60, Buckets: make([]uint64, 80)}
		for k := range min(n, 20) {
			h.Buckets[40-k], h.Buckets[40+k] = uint64(n-k), uint64(2*(n-k))
		}
		for _, count := range h.Buckets {
			h.Count += count
		}
		whole = append(whole, h)
		lanes := []loader.UplinkTally{{Uplink: "a", Tally: datapath.Tally{RTT: h}}, {Uplink: "idle"}}
		r.keep(&reading{&loader.Sample{Time: time.Unix(int64(n), 0), Classes: []loader.ClassSample{{Name: "c", Traffic: lanes}}}})
		var want *percentiles
		if n > 0 {
			want = percentilesSince(&whole[max(0, n-windowSize+1)], &h)
		}
		if diff := cmp.Diff(want, r.inWindow(0, &r.now.Classes[0], 0, roundTrip)); diff != "" {
			t.Fatalf("reading %d (-want +got):\n%s", n, diff)
		}
	}
	if len(r.window) != windowSize {
		t.Errorf("%d readings are kept, want %d", len(r.window), windowSize)
	}
	if r.window[0].of(0, "c", 1, "idle") != r.window[windowSize-1].of(0, "c", 1, "idle") {
		t.Error("what has nothing new is kept more than once")
	}
	if r.window[0].of(7, "other", 0, "a") != nil || r.window[0].of(3, "c", 9, "idle") == nil {
		t.Error("lanes are not found by their names")
	}
}
