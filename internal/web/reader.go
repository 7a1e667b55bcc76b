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

// reader makes frames of what is read.
type reader struct {
	PageOptions
	mu     sync.Mutex // of now and window, which one who asks for a class reads too
	now    *reading   // the latest; nil for none
	was    *reading   // the one before; nil for none
	window window
	before frame
	past   Past
	pastAt time.Time
}

// reading is a sample in which what was in another is found again: nearly
// always it is in the same place.
type reading struct{ *loader.Sample }

func newReader(o PageOptions) *reader { return &reader{PageOptions: o} }

// tally is what the class in a place did by an uplink; nil for nothing known.
func (r reading) tally(at int, class string, uplink int, name string) *datapath.Tally {
	k := placeOf(r.Classes, at, func(c *loader.ClassSample) bool { return c.Name == class })
	if k < 0 {
		return nil
	}
	traffic := r.Classes[k].Traffic
	u := placeOf(traffic, uplink, func(t *loader.UplinkTally) bool { return t.Uplink == name })
	if u < 0 {
		return nil
	}
	return &traffic[u].Tally
}

func (r reading) line(at int, l *loader.LineSample) (hits uint64, known bool) {
	k := placeOf(r.Lines, at, func(o *loader.LineSample) bool { return o.Class == l.Class && o.Text == l.Text && o.Where == l.Where })
	if k < 0 {
		return 0, false
	}
	return r.Lines[k].Hits, true
}

func (r reading) rule(at int, key plan.Rule) (packets uint64, known bool) {
	k := placeOf(r.Rules, at, func(o *loader.RuleSample) bool { return o.Rule.Key() == key })
	if k < 0 {
		return 0, false
	}
	return r.Rules[k].Packets, true
}

// placeOf is where something is; it is looked for in its place first.
func placeOf[T any](all []T, at int, is func(*T) bool) int {
	if at < len(all) && is(&all[at]) {
		return at
	}
	for k := range all {
		if is(&all[k]) {
			return k
		}
	}
	return -1
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
	if r.was, r.now = r.now, now; now == nil {
		r.was, r.window = nil, nil
		return
	}
	r.window.add(now.Sample)
}

// frame reads everything anew.
func (r *reader) frame() event {
	f := frame{Time: time.Now(), Uplinks: []uplinkFrame{}, Drops: []loader.DropSample{}, Turns: []turnFrame{}, Off: []string{}}
	sample, err := r.Source.Read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Problem = "Nothing is applied on this host: run `waymark apply`."
		r.keep(nil)
	case err != nil:
		f.Problem = err.Error()
		r.keep(nil)
	default:
		r.keep(&reading{sample})
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
	now := r.now
	f.Time, f.State, f.Applied, f.Drops, f.Off = now.Time, now.State, now.Applied, now.Drops, now.Off
	f.Turns = turnsOf(now.Turns)
	f.Window = now.Time.Sub(r.window[0].at).Seconds()
	for _, u := range now.Uplinks {
		f.Uplinks = append(f.Uplinks, uplinkFrame{u, flow{Sent: u.Gone.Sent.Total(), Received: u.Gone.Received.Total()}})
	}
	for n := range now.Classes {
		f.Classes.set(n, r.class(n, &now.Classes[n], f.Uplinks))
	}
	for n := range now.Lines {
		f.Lines.set(n, r.line(n, &now.Lines[n]))
	}
	for n := range now.Rules {
		f.Rules.set(n, r.rule(n, &now.Rules[n]))
	}
}

// class adds what it does to the sums of the uplinks.
func (r *reader) class(n int, c *loader.ClassSample, uplinks []uplinkFrame) classFrame {
	class := classFrame{Name: c.Name, Mark: c.Mark, Route: c.Route, Way: c.Way, Balance: c.Balance, Uplink: c.Uplink, Open: c.Open, Kept: c.Kept, Lanes: []lane{}}
	for k := range c.Traffic {
		if l, used := r.lane(n, c, k); used {
			class.Lanes = append(class.Lanes, l)
			uplinks[k].add(l.flow)
		}
	}
	return class
}

func (r *reader) line(n int, l *loader.LineSample) lineFrame {
	f := lineFrame{Class: l.Class, Text: l.Text, Where: l.Where, Hits: l.Hits}
	if r.was != nil {
		if hits, known := r.was.line(n, l); known {
			f.Rate = r.rate(hits, l.Hits)
		}
	}
	return f
}

func (r *reader) rule(n int, rule *loader.RuleSample) lineFrame {
	key, why := rule.Rule.Key(), rule.Rule.Rung
	if rule.Rule.Why != "" {
		why += ": " + rule.Rule.Why
	}
	f := lineFrame{Family: key.Family.String(), Priority: key.Priority, Text: rule.Text, Where: why, Hits: rule.Packets}
	if r.was != nil {
		if packets, known := r.was.rule(n, key); known {
			f.Rate = r.rate(packets, rule.Packets)
		}
	}
	return f
}

// rate is how much a counter grew a second, since the reading before.
func (r *reader) rate(was, now uint64) float64 {
	seconds := r.now.Time.Sub(r.was.Time).Seconds()
	if was > now || seconds <= 0 {
		return 0
	}
	return float64(now-was) / seconds
}
