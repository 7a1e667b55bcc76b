// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"errors"
	"slices"

	"waymark/classes"
	"waymark/internal/plan"
)

// marks are what filters put on traffic, that which counts first in front.
type marks struct {
	steps []step
}

// step is one rule of a filter's chain that has to do with marks.
type step struct {
	family   plan.Family
	hook     string // at which its chain runs: prerouting or output
	match    classes.Match
	mark     uint32 // that it leaves on the packet; 0 for one that it lets pass
	does     effect
	unmarked bool // takes only what has no mark yet
	marked   bool // takes only what has one
	origin   string
	used     bool // an entry was made of it
}

type effect int

const (
	sets  effect = iota
	stops        // RETURN or ACCEPT: what stands behind does not see the packet
)

// errForwarded is of a step of what comes in, whatever it comes in by.
var errForwarded = errors.New("forwarded traffic of any interface: name the interfaces that it comes in by, as `iif`")

// forgetForwarded takes back what was said of steps that stand for what the host
// sends itself as well: the match that is made of those takes both.
func (c *carrier) forgetForwarded() {
	c.left = slices.DeleteFunc(c.left, func(l Left) bool {
		return l.Why == errForwarded.Error() && slices.ContainsFunc(c.marks.steps, func(s step) bool { return s.used && s.origin == l.What })
	})
}

// chain puts the steps of one chain in the order in which a policy reads them:
// there the first match wins, and in a chain the last one that sets the mark,
// unless it looks whether there is one, or a rule between ends the walk. A chain
// that runs later at the same hook overrules those that ran before it.
func (c *carrier) chain(hook string, steps []step) {
	behind := slices.ContainsFunc(c.marks.steps, func(s step) bool { return s.hook == hook && s.family == steps[0].family })
	var settled, open []step
	for _, s := range steps {
		s.hook = hook
		switch {
		case s.does == stops && s.marked:
			settled, open = append(settled, open...), nil
		case s.does == stops && len(open) == 0 && !behind:
			settled = append(settled, s)
		case s.does == stops:
			c.leave(s.origin, "it ends a chain, and marks are set before it: say by the order of the classes what it keeps")
		case s.unmarked:
			open = append(open, s)
		default:
			open = slices.Insert(open, 0, s)
		}
	}
	c.marks.steps = slices.Concat(settled, open, c.marks.steps)
}
