// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"waymark/internal/datapath"
)

// decoded is a native histogram's count by index, as Prometheus reads it.
func decoded(h *dto.Histogram) map[int32]uint64 {
	counts, index, n, k := map[int32]uint64{}, int32(0), int64(0), 0
	for _, span := range h.PositiveSpan {
		index += *span.Offset
		for range *span.Length {
			n += h.PositiveDelta[k]
			if k++; n != 0 {
				counts[index] = uint64(n)
			}
			index++
		}
	}
	return counts
}

func TestBothFormsOfAHistogramAreWhatWasCounted(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	to := &dto.Histogram{} // one for all, as between scrapes
	for range 500 {
		h := datapath.Histogram{Schema: 3, First: -128, Buckets: make([]uint64, 161), Sum: 1}
		want := map[int32]uint64{}
		for range random.IntN(30) {
			i, n := random.IntN(161), random.Uint64N(100)
			h.Buckets[i] += n
			h.Count += n
			if n > 0 {
				want[h.First+int32(i)] += n
			}
		}
		fillHistogram(to, &h)
		if to.GetZeroThreshold() <= 0 || to.GetZeroThreshold() >= h.Bound(0) {
			t.Fatalf("a zero threshold of %v, want one above 0 and below all buckets", to.GetZeroThreshold())
		}
		if diff := cmp.Diff(want, decoded(to)); diff != "" {
			t.Fatalf("native (-want +got):\n%s", diff)
		}
		if got := len(to.Bucket); got != 20 {
			t.Fatalf("%d classic buckets, want one for each power of two from 2^-16 to 2^3", got)
		}
		for _, b := range to.Bucket {
			below := uint64(0)
			for i, n := range h.Buckets {
				if h.Bound(i) <= *b.UpperBound {
					below += n
				}
			}
			if below != *b.CumulativeCount {
				t.Fatalf("%d below %v, want %d", *b.CumulativeCount, *b.UpperBound, below)
			}
		}
	}
}
