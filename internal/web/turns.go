// SPDX-License-Identifier: Apache-2.0

package web

import (
	"math"

	"waymark/internal/datapath"
	"waymark/loader"
)

// turnFrame is how long the classes of an uplink that failed took to leave by
// another, of all its failures by one cause since the first apply.
type turnFrame struct {
	Uplink string      `json:"uplink"`
	Cause  string      `json:"cause"`
	Took   percentiles `json:"took"`
	Bins   []bin       `json:"bins"` // from the first to the last that has any
}

// bin is a part of a histogram: each is twice as long as the one before.
type bin struct {
	Below float64 `json:"below"` // seconds
	Count uint64  `json:"count"`
}

// turnsOf are those of uplinks that failed at all.
func turnsOf(all []loader.TurnSample) []turnFrame {
	turns := []turnFrame{}
	for k := range all {
		t := &all[k]
		if p := percentilesSince(&datapath.Histogram{}, &t.Took); p != nil {
			turns = append(turns, turnFrame{t.Uplink, t.Cause, *p, binsOf(&t.Took)})
		}
	}
	return turns
}

// binsOf is a histogram by powers of two. The bound of one is that of a bucket.
func binsOf(h *datapath.Histogram) (bins []bin) {
	parts := 1 << h.Schema
	for i, n := range h.Buckets {
		if n == 0 {
			continue
		}
		octave := int(math.Ceil(float64(int(h.First)+i) / float64(parts)))
		for len(bins) > 0 && bins[len(bins)-1].Below < math.Exp2(float64(octave)) {
			bins = append(bins, bin{Below: 2 * bins[len(bins)-1].Below})
		}
		if len(bins) == 0 {
			bins = []bin{{Below: math.Exp2(float64(octave))}}
		}
		bins[len(bins)-1].Count += n
	}
	return bins
}
