// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"waymark/bpf"
)

// Flows are TCP connections, and UDP sockets that are connected, that are open.
type Flows struct {
	Open uint64 // leave as the class does
	Kept uint64 // would, had a change not left them as they were
}

// FlowCounter counts the open flows, again and again, until the table changes.
type FlowCounter struct {
	walker *Walker
	slots  []uint32
	found  []bpf.WaymarkOpenFlows
}

// FlowCounter prepares the programs. Close it after use.
func (i *Instance) FlowCounter() (*FlowCounter, error) {
	live, err := i.live()
	if err != nil {
		return nil, err
	}
	w, err := i.verifyWalker(bpf.WaymarkProgCountTcp, bpf.WaymarkProgCountUdp)
	if err != nil {
		return nil, err
	}
	if err := w.ask(bpf.WaymarkWalkOrder{To: live}); err != nil {
		w.Close()
		return nil, fmt.Errorf("prepare to count the open sockets: %w", err)
	}
	c := &FlowCounter{w, make([]uint32, i.settings.Slots), make([]bpf.WaymarkOpenFlows, i.settings.Slots)}
	for k := range c.slots {
		c.slots[k] = uint32(k)
	}
	return c, nil
}

// Close lets the programs go.
func (c *FlowCounter) Close() { c.walker.Close() }

// Count counts those of the calling thread's network namespace, by the class's
// line of counters.
func (c *FlowCounter) Count() ([]Flows, error) {
	if err := c.count(); err != nil {
		return nil, fmt.Errorf("count the open sockets: %w", err)
	}
	flows := make([]Flows, len(c.found))
	for k, f := range c.found {
		flows[k] = Flows{f.Open, f.Kept}
	}
	return flows, nil
}

func (c *FlowCounter) count() error {
	clear(c.found)
	counted := c.walker.maps[bpf.WaymarkMapFlows]
	if _, err := counted.BatchUpdate(c.slots, c.found, nil); err != nil {
		return err
	}
	for _, program := range []string{bpf.WaymarkProgCountTcp, bpf.WaymarkProgCountUdp} {
		if _, _, err := iterate(c.walker.programs[program]); err != nil {
			return err
		}
	}
	var cursor ebpf.MapBatchCursor
	keys := make([]uint32, len(c.slots))
	if _, err := counted.BatchLookup(&cursor, keys, c.found, nil); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	return nil
}

// KeptFlows counts the open flows that a change left as they were, by the line
// of counters of the class they would have otherwise: of the calling thread's
// network namespace, and of others, given by what does something in them.
func (i *Instance) KeptFlows(others ...func(func() error) error) (map[uint32]uint64, error) {
	c, err := i.FlowCounter()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	kept := map[uint32]uint64{}
	count := func() error {
		flows, err := c.Count()
		for slot, f := range flows {
			if f.Kept > 0 {
				kept[uint32(slot)] += f.Kept
			}
		}
		return err
	}
	if err := count(); err != nil {
		return nil, err
	}
	// Of others' flows only those that were kept are known.
	if err := c.walker.elsewhere(); err != nil {
		return nil, err
	}
	for _, do := range others {
		if err := do(count); err != nil {
			return nil, err
		}
	}
	return kept, nil
}
