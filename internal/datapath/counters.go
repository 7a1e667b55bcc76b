// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"

	"waymark/bpf"
)

// Counters are what left by one uplink under one line of counters, since
// the instance was made.
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

// Counters reads one line of counters on one uplink, over all CPUs.
func (i *Instance) Counters(slot uint32, uplink int) (c Counters, err error) {
	var perCPU []bpf.WaymarkClassCounters
	if err := i.maps.Counters.Lookup(slot*i.settings.UplinkLimit+uint32(uplink), &perCPU); err != nil {
		return c, fmt.Errorf("read the counters: %w", err)
	}
	for _, x := range perCPU {
		c.Packets += x.Packets
		c.Bytes += x.Bytes
		c.Repaired += x.Repaired
		c.Dropped += x.Dropped
		c.Foreign += x.Foreign
		c.Refused += x.Refused
		c.Causes.Before += x.Misroutes[bpf.WaymarkMisrouteCauseCAUSE_BEFORE]
		c.Causes.Late += x.Misroutes[bpf.WaymarkMisrouteCauseCAUSE_LATE]
		c.Causes.Foreign += x.Misroutes[bpf.WaymarkMisrouteCauseCAUSE_FOREIGN]
		c.Causes.Pinned += x.Misroutes[bpf.WaymarkMisrouteCauseCAUSE_PINNED]
		c.Causes.NoRoute += x.Misroutes[bpf.WaymarkMisrouteCauseCAUSE_NO_ROUTE]
		c.Causes.Chosen += x.Misroutes[bpf.WaymarkMisrouteCauseCAUSE_CHOSEN]
	}
	c.Misroutes = c.Causes.Before + c.Causes.Late + c.Causes.Foreign + c.Causes.Pinned + c.Causes.NoRoute
	return c, nil
}
