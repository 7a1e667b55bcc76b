// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"time"
)

// again is when the policy files are to be applied once more that could not be:
// a user may not be there yet, or another's rule be in the way for a while. The
// zero value is never.
type again struct {
	at    time.Time
	times int
}

// failed books an attempt.
func (g *again) failed(now time.Time) {
	g.at = now.Add(min(longest, second<<min(10, g.times)))
	g.times++
}

// soon is for when something has changed that may have been in the way.
func (g *again) soon(now time.Time) {
	if !g.at.IsZero() {
		g.at = now
	}
}

func (g *again) due(now time.Time) bool { return !g.at.IsZero() && !now.Before(g.at) }

// superseded is for when somebody has applied another policy meanwhile, or taken
// all down: that stays.
func (a *Agent) superseded() {
	a.again = again{}
	a.settle("policy")
}

// tryAgain is what `status` says of it; nil while nothing is to be tried.
func (a *Agent) tryAgain() []string {
	if a.again.at.IsZero() {
		return nil
	}
	// By the clock as it is now: it may have been set since.
	return []string{fmt.Sprintf("the policy files are applied again at %s", time.Now().Add(time.Until(a.again.at)).Format("15:04:05 MST"))}
}
