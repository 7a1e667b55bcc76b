// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"sync/atomic"

	"waymark/bpf"
)

// incoming is what came in by every uplink and was not a class's. All that came
// in is read first and what of it was classed last, while both grow: so a reading
// may miss some, and has none too many. What one reading missed less of than the
// next is kept with the counters, whoever read it: no reading is below another.
type incoming struct {
	instance *Instance
	all      []Volumes
	rest     []Volumes
}

func (r *incoming) begin() (err error) {
	r.all, err = r.instance.incoming(func(v *bpf.WaymarkIncomingVolumes) *bpf.WaymarkVolumes { return &v.All })
	return err
}

func (r *incoming) end() error {
	classed, err := r.instance.incoming(func(v *bpf.WaymarkIncomingVolumes) *bpf.WaymarkVolumes { return &v.Classed })
	if err != nil || classed == nil {
		r.rest = nil
		return err
	}
	told, err := r.instance.toldOf()
	if err != nil {
		return err
	}
	r.rest = make([]Volumes, len(classed))
	for n, c := range classed {
		r.rest[n] = Volumes{
			IPv4: Volume{most(&told[n].Ipv4.Packets, r.all[n].IPv4.Packets, c.IPv4.Packets), most(&told[n].Ipv4.Bytes, r.all[n].IPv4.Bytes, c.IPv4.Bytes)},
			IPv6: Volume{most(&told[n].Ipv6.Packets, r.all[n].IPv6.Packets, c.IPv6.Packets), most(&told[n].Ipv6.Bytes, r.all[n].IPv6.Bytes, c.IPv6.Bytes)},
		}
	}
	return nil
}

// unclassed is what was read last of one uplink.
func (r *incoming) unclassed(uplink int) Volumes {
	if uplink >= len(r.rest) {
		return Volumes{}
	}
	return r.rest[uplink]
}

// most raises what was told to what is left of all, if that is more, and returns it.
func most(told *uint64, all, classed uint64) uint64 {
	rest := all - min(all, classed)
	for {
		before := atomic.LoadUint64(told)
		if rest <= before || atomic.CompareAndSwapUint64(told, before, rest) {
			return max(rest, before)
		}
	}
}

// incoming is one part of what came in by each uplink, over all CPUs; nil where
// another build has no such map.
func (i *Instance) incoming(part func(*bpf.WaymarkIncomingVolumes) *bpf.WaymarkVolumes) ([]Volumes, error) {
	if i.maps.Incoming == nil || i.maps.IncomingTold == nil {
		return nil, nil
	}
	sums := make([]Volumes, i.settings.UplinkLimit)
	var perCPU []bpf.WaymarkIncomingVolumes
	for n := range sums {
		if err := i.maps.Incoming.Lookup(uint32(n), &perCPU); err != nil {
			return nil, err
		}
		for k := range perCPU {
			v := part(&perCPU[k])
			sums[n].add(Volumes{IPv4: Volume{v.Ipv4.Packets, v.Ipv4.Bytes}, IPv6: Volume{v.Ipv6.Packets, v.Ipv6.Bytes}})
		}
	}
	return sums, nil
}

// toldOf is the memory of what was told, which other processes have, too.
func (i *Instance) toldOf() ([]bpf.WaymarkVolumes, error) {
	if i.told == nil {
		memory, err := mapped(i.maps.IncomingTold)
		if err != nil {
			return nil, fmt.Errorf("read what was told: %w", err)
		}
		i.told = memory
	}
	return entriesIn[bpf.WaymarkVolumes](i.told), nil
}
