// SPDX-License-Identifier: Apache-2.0

package web

import (
	"slices"
	"time"

	"waymark/internal/datapath"
	"waymark/loader"
)

// windowSize is how many readings percentiles are of.
const windowSize = 10

// window is the times of the latest readings, oldest first. Nothing else of them
// is kept for so long: a reading of a thousand classes is megabytes.
type window []moment

// moment is the times that had been taken by then.
type moment struct {
	at      time.Time
	classes []classTimes
}

type classTimes struct {
	name  string
	lanes []laneTimes
}

type laneTimes struct {
	uplink string
	times  *times // never nil
}

// times are those of a class by an uplink, by kind.
type times [3]datapath.Histogram

type timeKind int

const (
	roundTrip timeKind = iota
	connect
	queue
)

func (k timeKind) of(t *datapath.Tally) *datapath.Histogram {
	return [...]*datapath.Histogram{roundTrip: &t.RTT, connect: &t.Connect, queue: &t.Queue}[k]
}

// add adds a reading, and lets the oldest of too many go.
func (w *window) add(s *loader.Sample) {
	var before *moment
	if n := len(*w); n > 0 {
		before = &(*w)[n-1]
	}
	now := moment{s.Time, make([]classTimes, len(s.Classes))}
	for n := range s.Classes {
		c := &s.Classes[n]
		lanes := make([]laneTimes, len(c.Traffic))
		for k := range c.Traffic {
			t := &c.Traffic[k]
			lanes[k] = laneTimes{t.Uplink, before.of(n, c.Name, k, t.Uplink).upTo(&t.Tally)}
		}
		now.classes[n] = classTimes{c.Name, lanes}
	}
	if *w = append(*w, now); len(*w) > windowSize {
		*w = slices.Delete(*w, 0, 1)
	}
}

// of is what had been taken of a class by an uplink, both most likely in these
// places; nil for nothing known.
func (t *moment) of(at int, class string, lane int, uplink string) *times {
	if t == nil {
		return nil
	}
	c := placeOf(t.classes, at, func(c *classTimes) bool { return c.name == class })
	if c < 0 {
		return nil
	}
	lanes := t.classes[c].lanes
	l := placeOf(lanes, lane, func(l *laneTimes) bool { return l.uplink == uplink })
	if l < 0 {
		return nil
	}
	return lanes[l].times
}

var noTimes times

// upTo is what a tally has. Where it has nothing more, that is t itself.
func (t *times) upTo(now *datapath.Tally) *times {
	if t == nil {
		t = &noTimes
	}
	next := t
	for k := range t {
		h := timeKind(k).of(now)
		if h.Count == t[k].Count {
			continue
		}
		if next == t {
			anew := *t
			next = &anew
		}
		next[k] = h.Trimmed()
	}
	return next
}
