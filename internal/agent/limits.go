// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"maps"
	"slices"
	"time"
)

const (
	freely  = 3               // how often an object is put back at once
	calm    = time.Minute     // after which an object's history is forgotten
	longest = 5 * time.Minute // between two attempts
)

// limits is how often each object was put back of late: somebody who takes
// one away again and again is not fought faster than they give up.
type limits struct {
	of map[Object]*history
}

type history struct {
	times int
	last  time.Time
	until time.Time // held back
}

// healed books that an object was put back, and returns how long it will be
// held back, if it is taken away again.
func (l *limits) healed(o Object, now time.Time) time.Duration { return l.again(o, now, freely) }

// failed books that it could not be.
func (l *limits) failed(o Object, now time.Time) { l.again(o, now, 0) }

func (l *limits) again(o Object, now time.Time, free int) time.Duration {
	if l.of == nil {
		l.of = map[Object]*history{}
	}
	h := l.of[o]
	if h == nil {
		h = &history{}
		l.of[o] = h
	}
	h.times++
	h.last = now
	if h.times < free {
		return 0
	}
	wait := min(longest, second<<min(10, 1+h.times-free))
	h.until = now.Add(wait)
	return wait
}

// holds tells whether an object is held back.
func (l *limits) holds(o Object, now time.Time) bool {
	h := l.of[o]
	return h != nil && now.Before(h.until)
}

// due tells whether one may be put back again that was held back.
func (l *limits) due(now time.Time) bool {
	due := false
	for _, h := range l.of {
		if !h.until.IsZero() && !now.Before(h.until) {
			h.until = time.Time{}
			due = true
		}
	}
	return due
}

// forget drops what has been calm for long.
func (l *limits) forget(now time.Time) {
	maps.DeleteFunc(l.of, func(_ Object, h *history) bool {
		return now.Sub(h.last) > calm+min(longest, 2*h.until.Sub(h.last)) && !now.Before(h.until)
	})
}

// held are the objects that are held back.
func (l *limits) held(now time.Time) (texts []string) {
	for o, h := range l.of {
		if now.Before(h.until) {
			texts = append(texts, o.Text)
		}
	}
	slices.Sort(texts)
	return texts
}
