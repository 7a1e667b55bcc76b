// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"time"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/plan"
)

// Status is what is applied, how the kernel differs from it, and what has
// been counted since.
type Status struct {
	Applied    time.Time       `json:"applied"`
	Netns      uint64          `json:"netns"` // inode
	CgroupRoot string          `json:"cgroupRoot"`
	Mask       string          `json:"mask"`
	Uplinks    []plan.Uplink   `json:"uplinks"`
	Classes    []ClassStatus   `json:"classes"`
	Waiting    []string        `json:"waiting"`
	Arming     datapath.Arming `json:"arming"` // of cgroups that were made and removed since the matches were published
	Arms       bool            `json:"arms"`   // cgroups are armed as they are made
	Overrides  []Override      `json:"overrides"`
	Notes      []string        `json:"notes"` // what the policy asks for and an apply does not do
	Drift      plan.Changes    `json:"drift"`
	Conflict   string          `json:"conflict,omitempty"` // somebody else took what the plan needs
	States     []Past          `json:"states"`             // the one in force, then those there is a way back to, newest first
	GoesBack   *GoesBack       `json:"goesBack,omitempty"` // unless it is confirmed
	Unfinished string          `json:"unfinished,omitempty"`
}

// ClassStatus is one class with its counters on every uplink. The class
// "unclassed" is what carries no class's mark.
type ClassStatus struct {
	Name   string         `json:"name"`
	Mark   uint32         `json:"mark"`
	Route  string         `json:"route"`
	Kept   uint64         `json:"kept"` // open flows that would be in it now, had a change not left them as they were
	Away   []UplinkFlows  `json:"away"` // open flows of it that stay on another uplink than its new ones take, for their source address is that one's
	Counts []UplinkCounts `json:"counts"`
}

// UplinkFlows is how many flows an uplink has.
type UplinkFlows struct {
	Uplink string `json:"uplink"`
	Flows  uint64 `json:"flows"`
}

// UplinkCounts is what left by one uplink.
type UplinkCounts struct {
	Uplink string `json:"uplink"`
	datapath.Counters
}

// Unclassed is the name of what is in no class.
const Unclassed = classes.Unclassed

// Status reads what is applied. An error that is fs.ErrNotExist says that
// nothing is.
func (l *Loader) Status() (*Status, error) {
	w, err := l.surveyApplied()
	if err != nil {
		return nil, err
	}
	defer w.close()
	state := w.state
	s := &Status{Applied: state.Applied, Netns: l.netns, CgroupRoot: l.root, Mask: w.plan.Mask.String(),
		Uplinks: w.plan.Uplinks, Waiting: append([]string{}, w.plan.Waiting...), Notes: append([]string{}, w.plan.Notes...), Drift: w.changes,
		GoesBack: state.Trial.GoesBack(), Unfinished: string(state.Unfinished)}
	s.Overrides = append([]Override{}, w.overrides...)
	s.Arming, s.Arms = w.arming, w.facts.Arms
	dir, err := l.dir()
	if err != nil {
		return nil, err
	}
	if s.States, err = past(dir, state); err != nil {
		return nil, err
	}
	if w.conflict != nil {
		s.Conflict = w.conflict.Error()
	}
	flows, stayed, err := w.openFlows(l)
	if err != nil {
		return nil, err
	}
	all, elsewhere := append(w.plan.Classes, plan.Class{Name: Unclassed}), away(stayed)
	for _, c := range all {
		class := ClassStatus{Name: c.Name, Mark: c.Mark, Away: []UplinkFlows{}}
		if int(c.Slot) < len(flows) {
			class.Kept = flows[c.Slot].Kept
		}
		if c.Number != 0 {
			class.Route, class.Away = c.Route.String(), w.away(elsewhere[c.Mark])
		}
		if class.Counts, err = w.counts(c.Slot); err != nil {
			return nil, err
		}
		s.Classes = append(s.Classes, class)
	}
	return s, nil
}

// away words a class's flows by the number of the uplink that they leave by.
func (w *survey) away(n map[int]uint64) []UplinkFlows {
	out := []UplinkFlows{}
	for _, u := range w.plan.Uplinks {
		if n[u.Number] > 0 {
			out = append(out, UplinkFlows{u.Name, n[u.Number]})
		}
	}
	return out
}

func (w *survey) counts(slot uint32) (counts []UplinkCounts, err error) {
	for _, u := range w.plan.Uplinks {
		c, err := w.instance.Counters(slot, u.Number)
		if err != nil {
			return nil, err
		}
		counts = append(counts, UplinkCounts{Uplink: u.Name, Counters: c})
	}
	return counts, nil
}
