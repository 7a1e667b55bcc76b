// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"errors"
	"slices"
)

const (
	mostJumps = 16    // one into another
	mostRules = 50000 // that are gone through, each as often as something jumps to it
)

// walk is a way through the chains of a hook.
type walk struct {
	marking map[string]bool // the chains that set marks, or lead to what does
	rules   int             // that were gone through
}

// leads adds to some chains those that jump to one of them.
func leads(chains map[string]bool, jumps map[string][]string) map[string]bool {
	for grown := true; grown; {
		grown = false
		for from, to := range jumps {
			if !chains[from] && slices.ContainsFunc(to, func(chain string) bool { return chains[chain] }) {
				chains[from], grown = true, true
			}
		}
	}
	return chains
}

// root is the chain of a hook.
var root = step{within: 1, leaves: 1}

var (
	// errForwarded is of what marks all that comes in, whatever it comes in by.
	errForwarded = errors.New("forwarded traffic of any interface: name the interfaces that it comes in by, as `iif`")
	errShare     = errors.New("a share of the traffic: write a balance, `route: {fiber: 3, lte: 1}`")
	errKnown     = errors.New("it asks for the mark of a connection that is known: a flow has one class from its first packet to its last")
	errNotAgain  = errors.New("it marks packets of this host whose route is chosen already, and steers nothing: only mangle's OUTPUT, and nft's `type route`, have it chosen again")
	errBehind    = errors.New("it marks packets whose route is chosen already: it steers nothing, unless a later packet of the connection gets the mark back")
)

// leaveMarks names the steps that set marks, and why they are not carried over.
func (c *carrier) leaveMarks(steps []step, why error) {
	for _, s := range steps {
		if s.sets {
			c.leave(s.origin, why.Error())
		}
	}
}

// jump is a rule that goes to another chain: what it takes is sent in, goes
// through that chain's steps, and, after a goto, leaves this one.
func (w *walk) jump(r, outer step, target string, isGoto bool, into func(inner step) []step) []step {
	inside := outer.leaves << 1
	if r.lost == nil && (inside > 1<<mostJumps || w.rules > mostRules) {
		r.lost = errors.New("it jumps to too many chains for one policy")
	}
	if r = r.behind(outer); r.lost != nil {
		r.sets = w.marking[target]
		return []step{r}
	}
	inner := step{match: r.match, within: r.within | inside, needs: r.needs, leaves: inside}
	var steps []step
	if len(r.looks) > 0 { // what has the mark is what had it at the jump
		r.enters, inner.needs = inside, r.needs|inside
		steps = append(steps, r)
	}
	steps = append(steps, into(inner)...)
	if isGoto {
		steps = append(steps, step{match: r.match, within: r.within, needs: inner.needs, leaves: outer.leaves, origin: r.origin})
	}
	return append(steps, step{forgets: inside})
}

// behind is a step with what the way to its chain selects.
func (s step) behind(outer step) step {
	s.within, s.needs = outer.within, outer.needs
	m, ok, err := inCommon(s.match, outer.match)
	if s.match = m; s.lost == nil {
		s.lost = err
	}
	if !ok && err == nil {
		s.needs |= never
	}
	return s
}

// never is a chain that nothing is in.
const never visits = 1 << 31
