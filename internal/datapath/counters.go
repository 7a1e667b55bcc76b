// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"unsafe"

	"waymark/bpf"
)

// Counters are what left by one uplink under one line of counters, since
// the first apply.
type Counters struct {
	Packets   uint64 `json:"packets"`
	Bytes     uint64 `json:"bytes"`     // on the wire, link header included
	Misroutes uint64 `json:"misroutes"` // packets that belonged on another uplink, whatever became of them
	Repaired  uint64 `json:"repaired"`  // of those, sent to the right one instead
	Dropped   uint64 `json:"dropped"`   // of those, not let out, for their class's otherwise forbids it
	Foreign   uint64 `json:"foreign"`   // packets that carry somebody else's fwmark bits beside ours
	Refused   uint64 `json:"refused"`   // attempts of its processes to take another class's mark; on the first uplink's line
	Causes    Causes `json:"causes"`
}

// Causes are misrouted packets by the reason; Chosen are none: their
// application bound them to this uplink, or answers where it was asked.
type Causes struct {
	Before  uint64 `json:"openedBeforeApply"`
	Late    uint64 `json:"lateMark"`
	Foreign uint64 `json:"foreignMark"`
	Pinned  uint64 `json:"sourcePinned"`
	NoRoute uint64 `json:"noRoute"`
	Chosen  uint64 `json:"chosen"`
}

// Counters reads one line of counters on one uplink, over all CPUs and
// all instances that took over from one another.
func (i *Instance) Counters(slot uint32, uplink int) (c Counters, err error) {
	sum, err := i.sum(i.lineOf(slot, uint32(uplink)), i.maps.Counters, i.maps.Earlier)
	if err != nil {
		return c, fmt.Errorf("read the counters: %w", err)
	}
	return countersOf((*bpf.WaymarkClassCounters)(unsafe.Pointer(&sum))), nil
}

func countersOf(x *bpf.WaymarkClassCounters) Counters {
	c := Counters{Packets: x.Packets, Bytes: x.Bytes, Repaired: x.Repaired, Dropped: x.Dropped, Foreign: x.Foreign, Refused: x.Refused}
	c.Causes = Causes{
		Before:  x.Misroutes[bpf.WaymarkMisrouteCauseCAUSE_BEFORE],
		Late:    x.Misroutes[bpf.WaymarkMisrouteCauseCAUSE_LATE],
		Foreign: x.Misroutes[bpf.WaymarkMisrouteCauseCAUSE_FOREIGN],
		Pinned:  x.Misroutes[bpf.WaymarkMisrouteCauseCAUSE_PINNED],
		NoRoute: x.Misroutes[bpf.WaymarkMisrouteCauseCAUSE_NO_ROUTE],
		Chosen:  x.Misroutes[bpf.WaymarkMisrouteCauseCAUSE_CHOSEN],
	}
	c.Misroutes = c.Causes.Before + c.Causes.Late + c.Causes.Foreign + c.Causes.Pinned + c.Causes.NoRoute
	return c
}
