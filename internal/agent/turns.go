// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"slices"
	"sync"
	"time"

	"waymark/internal/datapath"
	"waymark/internal/plan"
	"waymark/loader"
)

// turns are the uplinks that failed, until the first packet of their classes has
// left by another: how long that took is counted.
type turns struct {
	usable map[string]bool // the uplinks of the last plan; nil before the first look
	lost   []loader.Lost

	mu       sync.Mutex
	carriers map[int]time.Duration // by ifindex: when the kernel said that it has none
	heard    time.Duration         // of anything, last
}

// hopeless is how long a packet is waited for: after that, its classes send
// nothing, and what comes later says nothing of the fail-over.
const hopeless = time.Minute

// hear notes when a notice of the kernel came. link is the interface that it
// says has no carrier; 0: it says something else.
func (t *turns) hear(link int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard = monotonic()
	if link == 0 {
		return
	}
	if t.carriers == nil {
		t.carriers = map[int]time.Duration{}
	}
	t.carriers[link] = t.heard
}

// lossOf is why an uplink cannot be used, and its last sign of life.
func (a *Agent) lossOf(u *plan.Uplink, withdrawn string) loader.Lost {
	a.turns.mu.Lock()
	carrier, heard := a.turns.carriers[u.Index], a.turns.heard
	a.turns.mu.Unlock()
	l := loader.Lost{Uplink: u.Name, Cause: datapath.TurnCarrier, Since: carrier}
	sign, cut := a.probes.LastSign(u.Name)
	switch {
	case u.Up && withdrawn == "":
		l.Cause, l.Since = datapath.TurnAddress, heard
	case u.Up && !cut:
		// Of one that gave no sign to this agent the zero time is longer ago than
		// a duration holds.
		l.Cause, l.Since = datapath.TurnGateway, monotonic()-min(time.Since(sign), hopeless)
	case carrier == 0:
		l.Since = heard // its interface is gone, and no notice names the index that it had
	}
	return l
}

// awaitWithdrawal begins to wait, before a look takes them away, for the packets
// that leave in place of uplinks whose probes find nobody.
func (a *Agent) awaitWithdrawal(withdrawn map[string]string) {
	var names []string
	for name, reason := range withdrawn {
		u := a.current.UplinkNamed(name)
		if u != nil && a.turns.usable[name] && a.lossOf(u, reason).Cause == datapath.TurnGateway {
			names = append(names, name)
		}
	}
	if names != nil {
		a.measure(a.Loader.AwaitTurns(names))
	}
}

// turn compares the uplinks with those of the last look.
func (a *Agent) turn(p *plan.Plan) {
	usable := map[string]bool{}
	var names []string
	for k := range p.Uplinks {
		u := &p.Uplinks[k]
		switch {
		case u.Usable():
			usable[u.Name], names = true, append(names, u.Name)
		case a.turns.usable[u.Name]:
			// One that never gave a sign of life says nothing either.
			if l := a.lossOf(u, u.Withdrawn); monotonic()-l.Since < hopeless {
				a.turns.lost = append(a.turns.lost, l)
			}
		}
	}
	a.countTurns()
	a.turns.usable = usable
	a.turns.lost = slices.DeleteFunc(a.turns.lost, func(l loader.Lost) bool { return usable[l.Uplink] || p.UplinkNamed(l.Uplink) == nil })
	a.measure(a.Loader.AwaitTurns(names))
}

// countTurns counts those that have come about.
func (a *Agent) countTurns() {
	if len(a.turns.lost) == 0 {
		return
	}
	turned, waiting, err := a.Loader.CountTurns(a.turns.lost)
	for _, u := range turned {
		a.Log.Info("classes leave by another uplink", "uplink", u.Uplink, "cause", u.Cause, "after", u.Took)
	}
	if a.measure(err); err == nil {
		a.turns.lost = slices.DeleteFunc(waiting, func(l loader.Lost) bool { return monotonic()-l.Since > hopeless })
	}
}

// measure says that fail-overs cannot be measured, or can be again.
func (a *Agent) measure(err error) {
	if err != nil {
		a.complain("measure", err.Error())
	} else {
		a.settle("measure")
	}
}
