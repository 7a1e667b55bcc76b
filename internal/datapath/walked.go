// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"strings"
	"time"
)

// Walked is what became of the open sockets that a change concerned. A
// socket is counted once; listeners, and UDP sockets that are not connected,
// are no flows and not counted.
type Walked struct {
	Marked  uint64        `json:"marked"`  // open before there were classes: TCP sockets that got their class's mark
	Noted   uint64        `json:"noted"`   // the same for UDP sockets, whose class tc egress knows from now on
	Moved   uint64        `json:"moved"`   // leave as their new class does, from the next packet on
	Kept    uint64        `json:"kept"`    // left as they were, for the fate is keep
	Pinned  uint64        `json:"pinned"`  // left as they were, for their source address lives on another uplink
	Inbound uint64        `json:"inbound"` // left as they were, for they were accepted: they leave where they came in
	Reset   uint64        `json:"reset"`
	Failed  uint64        `json:"failed"`
	Took    time.Duration `json:"took"` // CPU time of the walks, in nanoseconds
}

// Add adds what another walk did.
func (w *Walked) Add(o Walked) {
	w.Marked += o.Marked
	w.Noted += o.Noted
	w.Moved += o.Moved
	w.Kept += o.Kept
	w.Pinned += o.Pinned
	w.Inbound += o.Inbound
	w.Reset += o.Reset
	w.Failed += o.Failed
	w.Took += o.Took
}

// Total is how many sockets there were to deal with.
func (w Walked) Total() uint64 {
	return w.Marked + w.Noted + w.Moved + w.Kept + w.Pinned + w.Inbound + w.Reset + w.Failed
}

// String is it in words: "412 sockets: 398 moved, 9 kept (source pinned), 5 reset".
func (w Walked) String() string {
	var parts []string
	for _, p := range []struct {
		n    uint64
		what string
	}{
		{w.Marked + w.Noted, "classed"},
		{w.Moved, "moved"},
		{w.Kept, "kept"},
		{w.Pinned, "kept (source pinned)"},
		{w.Inbound, "kept (accepted)"},
		{w.Reset, "reset"},
		{w.Failed, "failed"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	switch w.Total() {
	case 0:
		return "0 sockets"
	case 1:
		return "1 socket: " + parts[0]
	}
	return fmt.Sprintf("%d sockets: %s", w.Total(), strings.Join(parts, ", "))
}
