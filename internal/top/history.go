// SPDX-License-Identifier: Apache-2.0

package top

import (
	"time"

	"waymark/internal/datapath"
	"waymark/loader"
)

const (
	remembered = sparkWidth       // rates
	rttWindow  = 10 * time.Second // that round-trip times are of
)

// history is what was read lately. The zero value is empty.
type history struct {
	readings []reading // of the last rttWindow, and the one before the last, oldest first
	bits     map[where][]float64
	hits     map[line][]float64
}

// take adds a sample. What was read before is forgotten when the counters
// began anew, after `down`.
func (h *history) take(s *loader.Sample) {
	r := read(s)
	if n := len(h.readings); n > 0 && r.tallies[where{}].Packets < h.readings[n-1].tallies[where{}].Packets {
		*h = history{}
	}
	h.readings = append(h.readings, r)
	for len(h.readings) > 2 && s.Time.Sub(h.readings[0].Time) > rttWindow {
		h.readings = h.readings[1:]
	}
	bits, hits := map[where][]float64{}, map[line][]float64{}
	if before := h.before(); before != nil {
		for w, t := range r.tallies {
			bits[w] = appended(h.bits[w], 8*h.rate(before.tally(w, t).Bytes, t.Bytes))
		}
		for l, n := range r.hits {
			was, known := before.hits[l]
			if !known {
				was = n
			}
			hits[l] = appended(h.hits[l], h.rate(was, n))
		}
	}
	h.bits, h.hits = bits, hits
}

func appended(rates []float64, rate float64) []float64 {
	rates = append(rates, rate)
	return rates[max(0, len(rates)-remembered):]
}

func (h *history) now() reading { return h.readings[len(h.readings)-1] }

// before is the reading before the last; nil for none.
func (h *history) before() *reading {
	if len(h.readings) < 2 {
		return nil
	}
	return &h.readings[len(h.readings)-2]
}

// seconds are those between the last two readings; 0 of one alone.
func (h *history) seconds() float64 {
	if h.before() == nil {
		return 0
	}
	return h.now().Time.Sub(h.before().Time).Seconds()
}

// rate is how fast a counter grew between the last two readings, per second.
// One that began anew did not.
func (h *history) rate(before, now uint64) float64 {
	if seconds := h.seconds(); seconds > 0 && now > before {
		return float64(now-before) / seconds
	}
	return 0
}

// frame is what is shown of a history that is not empty.
func (h *history) frame() *Frame {
	s := h.now()
	f := &Frame{Time: s.Time, Applied: s.Applied, State: s.State, Seconds: h.seconds(), RTTOver: s.Time.Sub(h.readings[0].Time).Seconds(),
		Uplinks: []Uplink{}, Classes: []Class{}, Matches: []Match{}, NotKnown: append([]string{}, s.Off...)}
	for _, u := range s.Uplinks {
		f.Uplinks = append(f.Uplinks, Uplink{Name: u.Name, Interface: u.Interface, Up: u.Up, Traffic: h.traffic(where{uplink: u.Name})})
	}
	for _, c := range s.Classes {
		class := Class{Name: c.Name, Route: c.Route, Uplink: c.Uplink, Open: c.Open, Kept: c.Kept, Traffic: h.traffic(where{class: c.Name})}
		for _, t := range c.Traffic {
			class.By = append(class.By, ByUplink{t.Uplink, h.traffic(where{c.Name, t.Uplink})})
		}
		f.Classes = append(f.Classes, class)
	}
	for _, l := range s.Lines {
		past := h.hits[line{l.Where, l.Text}]
		f.Matches = append(f.Matches, Match{Class: l.Class, Text: l.Text, Where: l.Where, Hits: l.Hits, HitsPerSecond: last(past), Past: past})
	}
	return f
}

func (h *history) traffic(w where) Traffic {
	now := h.now().tallies[w]
	before, start := now, h.start(w)
	if b := h.before(); b != nil {
		before = b.tally(w, now)
	}
	t := Traffic{Packets: now.Packets, Bytes: now.Bytes, ReceivedBytes: now.Received.Total().Bytes, Misroutes: now.Misroutes,
		Repaired: now.Repaired, Dropped: now.Dropped, Causes: now.Causes,
		Connections: now.Connections.Opened + now.Connections.Accepted, Failed: now.Connections.Failed,
		PacketsPerSecond: h.rate(before.Packets, now.Packets), BitsPerSecond: last(h.bits[w]), Past: h.bits[w],
		ReceivedBitsPerSecond: 8 * h.rate(before.Received.Total().Bytes, now.Received.Total().Bytes), MisroutesPerSecond: h.rate(before.Misroutes, now.Misroutes)}
	if now.Segments > 0 {
		t.Retransmitted = float64(now.Retransmitted) / float64(now.Segments)
	}
	if rtt := since(now.RTT, start.RTT); h.before() != nil && rtt.Count > 0 {
		t.RTT = &Percentiles{rtt.Quantile(0.5), rtt.Quantile(0.95), rtt.Quantile(0.99)}
	}
	return t
}

// start is what was counted at the first reading that has it.
func (h *history) start(w where) datapath.Tally {
	for _, r := range h.readings {
		if t, known := r.tallies[w]; known {
			return t
		}
	}
	return datapath.Tally{}
}

func last(rates []float64) float64 {
	if len(rates) == 0 {
		return 0
	}
	return rates[len(rates)-1]
}
