// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"

	"waymark/internal/probe"
	"waymark/loader"
)

// probe follows the uplinks that the policy has probed.
func (a *Agent) probe(h *loader.Healed) {
	var uplinks []probe.Uplink
	down := map[string]string{}
	for _, u := range h.Policy.Uplinks {
		if planned := h.Plan.UplinkNamed(u.Name); u.Probe != nil && planned != nil {
			uplinks = append(uplinks, probe.Uplink{Uplink: *planned, Probe: u.Probe})
			if planned.Withdrawn != "" {
				down[u.Name] = planned.Withdrawn
			}
		}
	}
	a.probes.Follow(uplinks, down)
	a.probing = true
}

// withdrawn are the uplinks that nothing is to be sent by, with the reason;
// nil before the first of them was probed. The last one that has a link and a next
// hop stays, whatever its probes say: nothing is better than it.
func (a *Agent) withdrawn() map[string]string {
	if !a.probing || a.current == nil {
		return nil
	}
	down := map[string]string{}
	states := a.probes.States()
	for _, s := range states {
		if s.Down != "" {
			down[s.Uplink] = s.Down
		}
	}
	last := probe.State{}
	for _, u := range a.current.Uplinks {
		if !u.Leads() {
			continue
		}
		if down[u.Name] == "" {
			a.settle("probes")
			return down
		}
		for _, s := range states {
			if s.Uplink == u.Name && (last.Uplink == "" || s.Since.After(last.Since)) {
				last = s
			}
		}
	}
	if last.Uplink != "" {
		a.complain("probes", fmt.Sprintf("no uplink passes its probes; %s stays, for it did last: %s", last.Uplink, last.Down))
		delete(down, last.Uplink)
	}
	return down
}

// misjudges tells whether the kernel does not follow the probes yet: a look
// that should have brought it there failed.
func (a *Agent) misjudges() bool {
	down := a.withdrawn()
	if down == nil {
		return false
	}
	for _, u := range a.current.Uplinks {
		if (u.Withdrawn != "") != (down[u.Name] != "") {
			return true
		}
	}
	return false
}

// tellProbes books what the probes say now, and tells of what came of it: the
// last uplink that is left is not withdrawn, and was told of as that.
func (a *Agent) tellProbes() {
	before := map[string]string{}
	for _, s := range a.record.Probes {
		before[s.Uplink] = s.Down
	}
	a.record.Probes, a.record.Counts = a.probes.States(), a.probes.Counts()
	left := a.withdrawn()
	for _, s := range a.record.Probes {
		switch {
		case s.Down == "" && before[s.Uplink] != "": // one that is not known yet was up
			a.Log.Info("uplink is back", "uplink", s.Uplink)
		case left[s.Uplink] != "" && a.left[s.Uplink] == "":
			a.Log.Warn("uplink leads nowhere; its classes take their next one", "uplink", s.Uplink, "reason", s.Down)
		}
	}
	a.left = left
}
