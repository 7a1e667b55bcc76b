// SPDX-License-Identifier: Apache-2.0

package web

import (
	"errors"
	"io/fs"
	"sync"
	"time"

	"waymark/internal/datapath"
	"waymark/internal/plan"
	"waymark/loader"
)

// window is how many readings percentiles are of.
const window = 10

// reader makes frames of what is read.
type reader struct {
	PageOptions
	mu     sync.Mutex // of last, which one who asks for a class reads too
	last   []reading  // the latest window of them, oldest first
	before frame
	past   Past
	pastAt time.Time
}

// reading is a sample whose parts are found by what they are.
type reading struct {
	*loader.Sample
	tallies map[[2]string]*datapath.Tally // by class and uplink
	lines   map[loader.LineSample]uint64
	rules   map[plan.Rule]uint64
}

func newReader(o PageOptions) *reader { return &reader{PageOptions: o} }

func read(s *loader.Sample) *reading {
	r := &reading{s, map[[2]string]*datapath.Tally{}, map[loader.LineSample]uint64{}, map[plan.Rule]uint64{}}
	for _, c := range s.Classes {
		for k := range c.Traffic {
			r.tallies[[2]string{c.Name, c.Traffic[k].Uplink}] = &c.Traffic[k].Tally
		}
	}
	for _, l := range s.Lines {
		hits := l.Hits
		l.Hits = 0
		r.lines[l] = hits
	}
	for _, rule := range s.Rules {
		r.rules[rule.Rule.Key()] = rule.Packets
	}
	return r
}

// forget is for when it was not called for a while.
func (r *reader) forget() {
	r.keep(nil)
	r.before, r.pastAt = frame{}, time.Time{}
	r.Source.Close()
}

// keep takes a reading to the last ones, or forgets them.
func (r *reader) keep(now *reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now == nil {
		r.last = nil
		return
	}
	r.last = append(r.last, *now)
	r.last = r.last[max(0, len(r.last)-window):]
}

// frame reads everything anew.
func (r *reader) frame() event {
	f := frame{Time: time.Now(), Uplinks: []uplinkFrame{}, Drops: []loader.DropSample{}, Off: []string{}}
	sample, err := r.Source.Read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Problem = "Nothing is applied on this host: run `waymark apply`."
		r.keep(nil)
	case err != nil:
		f.Problem = err.Error()
		r.keep(nil)
	default:
		r.keep(read(sample))
		r.fill(&f)
	}
	r.story(&f)
	e := eventOf(f, r.before)
	r.before = f
	return e
}

// story adds what became of the policy, and what the agent did.
func (r *reader) story(f *frame) {
	const rest = 10 * time.Second // a trial is confirmed without a new state
	if f.State != r.before.State || f.Time.Sub(r.pastAt) > rest {
		past, err := r.Past()
		if err != nil && f.Problem == "" {
			f.Problem = err.Error()
		}
		r.past, r.pastAt = past, f.Time
	}
	f.Past = r.past
	agent, err := r.Agent()
	if err != nil && f.Problem == "" {
		f.Problem = err.Error()
	}
	f.Agent = agent
}

// fill adds what was read last.
func (r *reader) fill(f *frame) {
	now := r.last[len(r.last)-1]
	f.Time, f.State, f.Applied, f.Drops, f.Off = now.Time, now.State, now.Applied, now.Drops, now.Off
	f.Window = now.Time.Sub(r.last[0].Time).Seconds()
	for _, u := range now.Uplinks {
		f.Uplinks = append(f.Uplinks, uplinkFrame{UplinkSample: u})
	}
	for n, c := range now.Classes {
		f.Classes.set(n, r.class(c, f.Uplinks))
	}
	for n, l := range now.Lines {
		f.Lines.set(n, r.line(l))
	}
	for n, rule := range now.Rules {
		f.Rules.set(n, r.rule(rule))
	}
}

// class adds what it does to the sums of the uplinks.
func (r *reader) class(c loader.ClassSample, uplinks []uplinkFrame) classFrame {
	class := classFrame{Name: c.Name, Mark: c.Mark, Route: c.Route, Way: c.Way, Balance: c.Balance, Uplink: c.Uplink, Open: c.Open, Kept: c.Kept, Lanes: []lane{}}
	for k, t := range c.Traffic {
		if l, used := r.lane(c.Name, t); used {
			class.Lanes = append(class.Lanes, l)
			uplinks[k].add(l.flow)
		}
	}
	return class
}

func (r *reader) line(l loader.LineSample) lineFrame {
	hits := l.Hits
	l.Hits = 0
	return lineFrame{Class: l.Class, Text: l.Text, Where: l.Where, Hits: hits, Rate: r.rate(hits, func(was reading) (uint64, bool) {
		n, known := was.lines[l]
		return n, known
	})}
}

func (r *reader) rule(rule loader.RuleSample) lineFrame {
	key, why := rule.Rule.Key(), rule.Rule.Rung
	if rule.Rule.Why != "" {
		why += ": " + rule.Rule.Why
	}
	return lineFrame{Family: key.Family.String(), Priority: key.Priority, Text: rule.Text, Where: why, Hits: rule.Packets,
		Rate: r.rate(rule.Packets, func(was reading) (uint64, bool) {
			n, known := was.rules[key]
			return n, known
		})}
}

// rate is how much a counter grew a second, since the reading before.
func (r *reader) rate(now uint64, then func(reading) (uint64, bool)) float64 {
	if len(r.last) < 2 {
		return 0
	}
	was := r.last[len(r.last)-2]
	n, known := then(was)
	seconds := r.last[len(r.last)-1].Time.Sub(was.Time).Seconds()
	if !known || n > now || seconds <= 0 {
		return 0
	}
	return float64(now-n) / seconds
}
