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
	Misroutes uint64 `json:"misroutes"` // packets whose class does not go by this uplink
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
		c.Misroutes += x.Misroutes
	}
	return c, nil
}
