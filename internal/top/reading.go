// SPDX-License-Identifier: Apache-2.0

package top

import (
	"waymark/internal/datapath"
	"waymark/loader"
)

// where is what a tally is of: a class on an uplink, and with "" for one of
// them, all classes or all uplinks.
type where struct{ class, uplink string }

// reading is a sample with its sums.
type reading struct {
	*loader.Sample
	tallies map[where]datapath.Tally
	hits    map[line]uint64
}

// line is what tells one match from another: two on one line of the policy
// have two texts, and the same twice is an error of the policy's.
type line struct{ where, text string }

func read(s *loader.Sample) reading {
	r := reading{Sample: s, tallies: map[where]datapath.Tally{}, hits: map[line]uint64{}}
	for _, u := range s.Uplinks {
		r.add(u.Gone, where{"", u.Name}, where{})
	}
	for _, c := range s.Classes {
		for _, t := range c.Traffic {
			r.add(t.Tally, where{c.Name, t.Uplink}, where{c.Name, ""}, where{"", t.Uplink}, where{})
		}
	}
	for _, l := range s.Lines {
		r.hits[line{l.Where, l.Text}] += l.Hits
	}
	return r
}

func (r reading) add(t datapath.Tally, to ...where) {
	for _, w := range to {
		sum := r.tallies[w]
		add(&sum, t)
		r.tallies[w] = sum
	}
}

// tally is what was counted by then; of what was not there, which may come back
// with all that it ever counted, what is counted now.
func (r reading) tally(w where, now datapath.Tally) datapath.Tally {
	if t, known := r.tallies[w]; known {
		return t
	}
	return now
}

// add adds what Traffic shows; connects that failed are all in Failed then.
func add(sum *datapath.Tally, t datapath.Tally) {
	sum.Packets += t.Packets
	sum.Bytes += t.Bytes
	sum.Misroutes += t.Misroutes
	sum.Repaired += t.Repaired
	sum.Dropped += t.Dropped
	sum.Received.IPv4.Bytes += t.Received.IPv4.Bytes
	sum.Received.IPv6.Bytes += t.Received.IPv6.Bytes
	sum.Segments += t.Segments
	sum.Retransmitted += t.Retransmitted
	c := t.Connections
	sum.Connections.Opened += c.Opened
	sum.Connections.Accepted += c.Accepted
	sum.Connections.Failed += c.Refused + c.Unreachable + c.TimedOut + c.Failed
	sum.Causes.Before += t.Causes.Before
	sum.Causes.Late += t.Causes.Late
	sum.Causes.Foreign += t.Causes.Foreign
	sum.Causes.Pinned += t.Causes.Pinned
	sum.Causes.NoRoute += t.Causes.NoRoute
	sum.Causes.Chosen += t.Causes.Chosen
	if t.RTT.Count > 0 {
		sum.RTT.Add(t.RTT)
	}
}

// since is what a histogram counted since an earlier reading: nothing is known of
// one that had more then, of another class, or with one that is gone.
func since(h, earlier datapath.Histogram) datapath.Histogram {
	if h.Count < earlier.Count {
		return datapath.Histogram{}
	}
	return h.Since(earlier)
}
