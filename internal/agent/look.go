// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/plan"
	"waymark/loader"
)

// look holds everything against what is applied, and puts back what differs;
// what is in the maps, too, if somebody changed that.
func (a *Agent) look(maps bool) {
	begun, used := time.Now(), processorTime()
	withdrawn := a.withdrawn()
	a.awaitWithdrawal(withdrawn)
	h, err := a.heal(loader.Healing{Maps: maps, Withdrawn: withdrawn, Choose: a.choose})
	inParts := err != nil && h != nil && !errors.Is(err, fs.ErrNotExist)
	if inParts {
		h, err = a.healInParts(err)
	}
	a.pace.looked(time.Now(), processorTime()-used)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		a.complain("applied", "nothing is applied any more: `waymark apply` or a reload applies a policy again")
		if a.policy != nil { // it was until now
			a.superseded()
		}
		a.current, a.wanted, a.policy = nil, nil, nil
	case err != nil:
		a.complain("heal", err.Error())
		if maps {
			a.limits.failed(mapsObject, a.pace.last)
		}
	default:
		a.settle("applied")
		a.settle("heal")
	}
	if h != nil && err == nil {
		a.watchOver(h, begun)
	}
	a.limits.forget(time.Now())
	// One part or other may have filled the maps, or the attempt that went back;
	// of maps that somebody changed it is not known which.
	if h == nil || h.Filled || h.Adopted || inParts && !maps {
		pulse, _ := a.Loader.Pulse(a.current)
		a.pulse.Maps = pulse.Maps
	}
	a.tell()
}

// damaged tells whether somebody changed what is in the maps.
func (a *Agent) damaged(now loader.Pulse) bool {
	return now.Damaged || a.pulse.Maps != "" && now.Maps != a.pulse.Maps
}

// heal is one attempt; what it put back is booked.
func (a *Agent) heal(do loader.Healing) (*loader.Healed, error) {
	h, err := a.Loader.Heal(do)
	if h == nil || err != nil {
		return h, err
	}
	if h.Adopted {
		// All that its plan wants was there when it was applied.
		a.wanted = wantedBy(h.Plan)
		if !a.ours {
			a.Log.Info("took up what somebody applied, moved or confirmed", "classes", len(h.Plan.Classes))
			if h.Policy == a.policy || a.waits {
				a.again.soon(time.Now()) // a move that was in the way may be taken back, or a trial be over
			} else {
				a.superseded()
				a.settle("tried")
			}
		}
	}
	a.ours = false
	for _, name := range h.Pinned {
		a.book(Object{Kind: "pin", Text: name})
	}
	for _, o := range objectsOf(h.Changes) {
		a.book(o)
	}
	if w := h.Walked; w.Total() > 0 {
		a.Log.Info("open flows met their fate", "flows", w.String())
	}
	if do.Maps && !h.Adopted && h.Changes.Classes {
		a.book(mapsObject)
	}
	return h, nil
}

// healInParts is for when what is to be put back cannot be all at once: in
// halves, and those in halves, so that a single object does not keep the rest.
// It returns the first error beside the last attempt.
func (a *Agent) healInParts(first error) (*loader.Healed, error) {
	var all []Object
	h, err := a.heal(loader.Healing{Choose: func(_ *plan.Plan, c plan.Changes) plan.Changes {
		all = objectsOf(a.withoutHeld(c))
		return plan.Changes{}
	}})
	if err != nil {
		return nil, err
	}
	if last := a.healParts(all); last != nil {
		return last, nil
	}
	if len(all) == 0 {
		return h, nil
	}
	return nil, first
}

// healParts puts some objects back, nil: none of them could be. The host may
// change meanwhile, and the plan with it: no rule goes while one is still to
// come that may stand in for it.
func (a *Agent) healParts(all []Object) (last *loader.Healed) {
	if len(all) == 0 {
		return nil
	}
	h, err := a.heal(loader.Healing{Choose: func(_ *plan.Plan, c plan.Changes) plan.Changes {
		part := only(c, func(o Object) bool { return slices.Contains(all, o) })
		if len(part.AddRules) < len(c.AddRules) {
			part.DeleteRules = nil
		}
		return part
	}})
	switch {
	case err == nil:
		return h
	case len(all) == 1:
		a.limits.failed(all[0], time.Now())
		return nil
	}
	half := len(all) / 2
	for _, part := range [][]Object{all[:half], all[half:]} {
		if h := a.healParts(part); h != nil {
			last = h
		}
	}
	return last
}

// choose leaves out what is held back.
func (a *Agent) choose(_ *plan.Plan, c plan.Changes) plan.Changes { return a.withoutHeld(c) }

func (a *Agent) withoutHeld(c plan.Changes) plan.Changes {
	now := time.Now()
	return only(c, func(o Object) bool { return !a.limits.holds(o, now) })
}

// book counts and tells of one object that was put back, or followed: what
// the plan did not want before, or does not want any more, is the host's own
// change and no damage; nor is a hook whose interface is gone, or a route that the
// kernel dropped with an address or a link that is back by now.
func (a *Agent) book(o Object) {
	dropped := o.Kind == "route" && !a.authors.know(o)
	damage := a.wanted[o] && !dropped || o.Removed() && o.Kind != "hook" && !a.wanted[o.added()]
	if o.Kind != "pin" && o.Kind != "map" && (a.wanted == nil || !damage) {
		a.Log.Info("followed the host", "kind", o.Kind, "object", o.Text)
		return
	}
	by := a.authors.named(o)
	a.record.add(o, by)
	log := a.Log.With("kind", o.Kind, "object", o.Text)
	if by != "" {
		log = log.With("by", by)
	}
	if o.Removed() {
		log.Warn("took away what is not ours to have")
	} else {
		log.Warn("put back")
	}
	if wait := a.limits.healed(o, time.Now()); wait > 0 {
		log.Error("somebody keeps changing it; it is held back for a while", "wait", wait)
	}
}

// watchOver remembers what the kernel holds now, and says what others took.
func (a *Agent) watchOver(h *loader.Healed, begun time.Time) {
	a.current, a.policy = h.Plan, h.Policy
	a.wanted = wantedBy(h.Plan)
	a.authors.forget(begun)
	a.follows.only(h.Runtimes, a.hurry)
	a.followCgroups(h.Unarmed)
	a.probe(h)
	a.turn(h.Plan)
	taken := h.Covered
	if h.Conflict != nil {
		taken = append(taken, h.Conflict.Error())
	}
	a.complainOnly("others", taken)
}

func wantedBy(p *plan.Plan) map[Object]bool {
	wanted := map[Object]bool{}
	for _, o := range objectsOf(everything(p)) {
		wanted[o] = true
	}
	return wanted
}

// processorTime is what this process has used of the CPUs.
func processorTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
