// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"errors"
	"slices"

	"waymark/classes"
	"waymark/internal/plan"
)

// step is what one rule of a filter's chain does with what it takes. A mark
// becomes mark &^ clears ^ flips.
type step struct {
	match   classes.Match
	looks   []look // at the mark that a packet has; all have to hold
	clears  uint32
	flips   uint32
	within  visits // the chains that it stands in: what has left one of them passes it by
	needs   visits // the chains that what it takes has to be in
	enters  visits
	leaves  visits
	forgets visits // chains that end for everything
	sets    bool   // it has to do with marks, or leads to what does
	lost    error  // why a policy cannot say it
	origin  string
}

// look is a condition on the mark.
type look struct {
	mark, mask uint32
	not        bool
}

// visits are chains that are gone through, a bit for each depth.
type visits uint32

// flow is traffic that a filter has told apart, and its mark.
type flow struct {
	state
	match  classes.Match
	origin string
	part   bool // what two rules take in common
}

// state is what rules have made of a flow so far.
type state struct {
	mark     uint32
	in, left visits
}

// told are the flows of one family at one hook. Each takes what none before it
// takes; the last one takes everything, and has no mark.
type told struct {
	family plan.Family
	hook   string // prerouting or output
	flows  []flow

	overruled []flow // by a later rule that takes everything
}

// most is how many flows are told apart: a policy of more is nobody's wish.
const most = 20000

// chain goes through the rules of one chain. What they cannot say in a policy is
// left, if it concerns marks or what stands before one that does.
func (c *carrier) chain(f plan.Family, hook string, steps []step) {
	last := len(steps) - 1
	for last >= 0 && !steps[last].sets {
		last--
	}
	t := c.toldAt(f, hook)
	for _, s := range steps[:last+1] {
		if s.lost == nil {
			s.lost = t.take(s)
		}
		if s.lost != nil {
			c.leave(s.origin, s.lost.Error())
		}
	}
	t.forget(^visits(0))
}

// forget ends chains. What went through one and came out as what it would be
// without is not told apart any longer.
func (t *told) forget(chains visits) {
	for k := len(t.flows) - 1; k >= 0; k-- {
		f := &t.flows[k]
		if (f.in|f.left)&chains != 0 {
			f.in &^= chains
			f.left &^= chains
			if (f.part || f.mark == 0) && t.isIdle(k) {
				t.flows = slices.Delete(t.flows, k, k+1)
			}
		}
	}
}

// isIdle tells whether all that a flow takes would be the same without it.
func (t *told) isIdle(k int) bool {
	f := t.flows[k]
	for _, o := range t.flows[k+1:] {
		m, common, err := inCommon(f.match, o.match)
		switch {
		case err == nil && !common:
		case err != nil || o.state != f.state:
			return false
		case sameTaken(m, f.match):
			return true
		}
	}
	return false
}

func (c *carrier) toldAt(f plan.Family, hook string) *told {
	for _, t := range c.marks {
		if t.family == f && t.hook == hook {
			return t
		}
	}
	t := &told{family: f, hook: hook, flows: []flow{{}}}
	c.marks = append(c.marks, t)
	return t
}

// take tells apart what a step takes. Flows that come out alike, from one on to
// the last, need no more than the step's own match in front of them; of each
// other one the part that the step takes stands in front of it.
func (t *told) take(s step) error {
	if s.forgets != 0 {
		t.forget(s.forgets)
		return nil
	}
	last := len(t.flows) - 1
	result, alike := s.makes(t.flows[last].state), last+1
	for alike > 0 && s.takes(t.flows[alike-1].state) && s.makes(t.flows[alike-1].state) == result {
		alike--
	}
	var flows []flow
	for _, f := range t.flows[:alike] {
		if !s.takes(f.state) || s.makes(f.state) == f.state {
			flows = append(flows, f)
			continue
		}
		m, common, err := inCommon(f.match, s.match)
		if err != nil {
			return err
		}
		if common {
			flows = append(flows, s.made(f, m))
		}
		if !common || !sameTaken(m, f.match) {
			flows = append(flows, f)
		}
	}
	rest := t.flows[alike:]
	if slices.ContainsFunc(rest, func(f flow) bool { return f.state != result }) {
		flows = append(flows, s.made(rest[len(rest)-1], s.match))
		if takesAll(s.match) {
			t.overruled = append(t.overruled, rest...)
			rest = nil
		}
	}
	if len(flows)+len(rest) > most {
		return errors.New("with those before it there are too many cases for one policy")
	}
	t.flows = slices.Concat(flows, rest)
	return nil
}

// made is the part of a flow that a step takes. What has a mark already is that
// of who gave it.
func (s *step) made(f flow, m classes.Match) flow {
	if s.clears|s.flips != 0 || f.mark == 0 {
		f.origin = s.origin
	}
	f.state, f.match, f.part = s.makes(f.state), m, !sameTaken(m, s.match)
	return f
}

func takesAll(m classes.Match) bool { return sameTaken(m, classes.Match{}) }

// takes tells whether a flow meets a step, as far as its mark and its way
// through the chains go.
func (s *step) takes(f state) bool {
	for _, l := range s.looks {
		if (f.mark&l.mask == l.mark) == l.not {
			return false
		}
	}
	return f.left&s.within == 0 && f.in&s.needs == s.needs
}

// makes is what a step makes of a flow.
func (s *step) makes(f state) state {
	f.mark = f.mark&^s.clears ^ s.flips
	f.in |= s.enters
	f.left |= s.leaves
	return f
}

func sameTaken(a, b classes.Match) bool { return a.String() == b.String() }
