// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"time"

	"waymark/internal/datapath"
)

// openFlows are the flows that are open, as they were counted last. It costs a
// look at every socket, so it is done every flowsAge.
type openFlows struct {
	counter *datapath.FlowCounter // nil where the programs of another build are attached
	bySlot  []datapath.Flows
	stayed  []datapath.OpenFlow
	counted time.Time
}

const flowsAge = 5 * time.Second

func (f *openFlows) count(s *Sample) (err error) {
	if f.counter == nil {
		s.Off = append(s.Off, "Open flows are not counted: the programs of another build of waymark are attached; `waymark apply` replaces them.")
		return nil
	}
	if f.bySlot != nil && time.Since(f.counted) < flowsAge {
		return nil
	}
	f.bySlot, f.stayed, err = f.counter.Count()
	f.counted = time.Now()
	return err
}
