// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"iter"
	"math"

	dto "github.com/prometheus/client_model/go"

	"waymark/internal/datapath"
)

// belowAll is what nothing that is counted is below. Without one a histogram that
// has no counts yet is read as a classic one, and its first count is no increase.
const belowAll = 0x1p-128

// fillHistogram writes the same counts twice: as the buckets of a native
// histogram, as fine as they were counted, and as classic buckets, one for
// each power of two. Both are exact, for the bounds of the classic ones are
// some of the native ones'.
func fillHistogram(to *dto.Histogram, h *datapath.Histogram) {
	if to.Schema == nil {
		*to = dto.Histogram{SampleCount: new(uint64), SampleSum: new(float64), Schema: new(int32),
			ZeroThreshold: new(belowAll), ZeroCount: new(uint64)}
	}
	*to.SampleCount, *to.SampleSum, *to.Schema = h.Count, h.Sum, h.Schema
	fillClassic(to, h)
	fillNative(to, h)
}

// places are of some of a histogram's buckets.
type places struct{ from, to int }

// classicBuckets are the buckets that a classic one takes together, and its
// bound: one for each power of two. The last bucket, which also counts what is
// longer than its bound, is in +Inf only.
func classicBuckets(h *datapath.Histogram) iter.Seq2[places, float64] {
	octave := int(1) << max(0, h.Schema)
	return func(yield func(places, float64) bool) {
		from := 0
		for to := 1; to < len(h.Buckets); to++ {
			if last := int(h.First) + to - 1; last%octave == 0 {
				if !yield(places{from, to}, math.Ldexp(1, last/octave)) {
					return
				}
				from = to
			}
		}
	}
}

func fillClassic(to *dto.Histogram, h *datapath.Histogram) {
	below, used := uint64(0), 0
	for place, bound := range classicBuckets(h) {
		if used == len(to.Bucket) {
			to.Bucket = append(to.Bucket, &dto.Bucket{CumulativeCount: new(uint64), UpperBound: new(float64)})
		}
		below += sum(h.Buckets[place.from:place.to])
		*to.Bucket[used].CumulativeCount, *to.Bucket[used].UpperBound = below, bound
		used++
	}
	to.Bucket = to.Bucket[:used]
}

// fillNative writes the spans between gaps of more than shortGap empty
// buckets, and what each bucket has more than the one before it.
func fillNative(to *dto.Histogram, h *datapath.Histogram) {
	const shortGap = 2 // a span costs as much as that many empty buckets
	to.PositiveDelta = to.PositiveDelta[:0]
	spans, end, before := 0, int32(0), int64(0) // end: the index after the last span's, from where the next one's offset counts
	for i, n := range h.Buckets {
		if n == 0 {
			continue
		}
		index := h.First + int32(i)
		gap := index - end
		if spans == 0 || gap > shortGap {
			to.PositiveSpan = span(to.PositiveSpan, spans, gap)
			spans, gap = spans+1, 0
		}
		last := to.PositiveSpan[spans-1]
		*last.Length += uint32(gap) + 1
		for range gap {
			to.PositiveDelta = append(to.PositiveDelta, -before)
			before = 0
		}
		to.PositiveDelta = append(to.PositiveDelta, int64(n)-before)
		before, end = int64(n), index+1
	}
	to.PositiveSpan = to.PositiveSpan[:spans]
}

// span makes the k-th of spans an empty one at an offset.
func span(spans []*dto.BucketSpan, k int, offset int32) []*dto.BucketSpan {
	if k == len(spans) {
		spans = append(spans, &dto.BucketSpan{Offset: new(int32), Length: new(uint32)})
	}
	*spans[k].Offset, *spans[k].Length = offset, 0
	return spans
}
