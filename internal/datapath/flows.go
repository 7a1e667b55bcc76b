// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"waymark/bpf"
)

// Flows are TCP connections, and UDP sockets that are connected, that are open.
type Flows struct {
	Open uint64 // leave as the class does
	Kept uint64 // would, had a change not left them as they were
}

// OpenFlow is one of them: one that stayed, which does not leave as new flows of its
// class do, for a change of class left it as it was, or its source is the own address of
// an uplink that its class does not take now; or one that was asked for.
type OpenFlow struct {
	Proto  uint8
	Source netip.AddrPort
	Peer   netip.AddrPort
	UID    uint32
	Cgroup uint64                       // id of its socket's
	Inode  uint64                       // of its socket, as /proc/PID/fd names it; 0: no process holds it any more
	Mark   uint32                       // of the class that it leaves by
	Due    uint32                       // of the class that it would have
	Uplink int                          // number of the one that it leaves by; -1: none of ours
	Chose  struct{ Address, Port bool } // what its application chose of its source
}

// FlowCounter counts the open flows, again and again, by the table that was in force
// when it was prepared.
type FlowCounter struct {
	walker *Walker
	counts *ebpf.Map
	within ebpf.MapID // of the instance's own maps, which the programs look into
}

// FlowCounter prepares the programs for the table in force. Close it after use.
func (i *Instance) FlowCounter() (*FlowCounter, error) { return i.flowCounter(0) }

// flowCounter also lists those that have a source port; 0 is none.
func (i *Instance) flowCounter(port uint16) (*FlowCounter, error) {
	live, err := i.live()
	if err != nil {
		return nil, err
	}
	w, err := i.verifyWalker(bpf.WaymarkProgCountTcp, bpf.WaymarkProgCountUdp)
	if err != nil {
		return nil, err
	}
	if err := w.ask(bpf.WaymarkWalkOrder{To: live, Port: uint32(port)}); err != nil {
		w.Close()
		return nil, fmt.Errorf("prepare to count the open sockets: %w", err)
	}
	return &FlowCounter{w, w.maps[bpf.WaymarkMapFlows], idOf(i.maps.Live)}, nil
}

// Follows has the counter go by the table in force now. It cannot where another
// instance has taken over: its programs would have to be verified, which costs more
// than all else that a reading does after a change.
func (c *FlowCounter) Follows(i *Instance) bool {
	live, err := i.live()
	return err == nil && c.within != 0 && c.within == idOf(i.maps.Live) && c.walker.ask(bpf.WaymarkWalkOrder{To: live}) == nil
}

// idOf is a map's number in the kernel; 0 where that cannot be told.
func idOf(m *ebpf.Map) ebpf.MapID {
	info, err := m.Info()
	if err != nil {
		return 0
	}
	id, _ := info.ID()
	return id
}

// Close lets the programs go.
func (c *FlowCounter) Close() { c.walker.Close() }

// Count counts those of the calling thread's network namespace, by the class's
// line of counters, and lists those that stayed.
func (c *FlowCounter) Count() (flows []Flows, stayed []OpenFlow, err error) {
	printed, err := c.count()
	if err != nil {
		return nil, nil, fmt.Errorf("count the open sockets: %w", err)
	}
	found, err := entriesOf[bpf.WaymarkOpenFlows](c.counts)
	if err != nil {
		return nil, nil, fmt.Errorf("count the open sockets: %w", err)
	}
	flows = make([]Flows, len(found))
	for k, f := range found {
		flows[k] = Flows{f.Open, f.Kept}
	}
	var f bpf.WaymarkToldFlow
	for len(printed) > 0 {
		n, err := binary.Decode(printed, binary.NativeEndian, &f)
		if err != nil {
			return nil, nil, fmt.Errorf("list the open sockets: %w", err)
		}
		stayed, printed = append(stayed, flowOf(&f)), printed[n:]
	}
	return flows, stayed, nil
}

func flowOf(f *bpf.WaymarkToldFlow) OpenFlow {
	end := func(k int) netip.AddrPort {
		return netip.AddrPortFrom(addressOf(f.Family, f.Addresses[k].Word), f.Ports[k])
	}
	s := OpenFlow{Proto: uint8(f.Proto), Source: end(0), Peer: end(1), UID: f.Uid, Cgroup: f.Cgroup, Inode: f.Inode,
		Mark: f.Mark, Due: f.Due, Uplink: int(f.Uplink)}
	s.Chose.Address, s.Chose.Port = f.Bound[0] != 0, f.Bound[1] != 0
	if f.Uplink >= uint32(bpf.WaymarkLimitsMAX_UPLINKS) {
		s.Uplink = -1
	}
	return s
}

// addressOf is the address that words in host byte order are.
func addressOf(family uint32, words [4]uint32) netip.Addr {
	var b [16]byte
	for k, w := range words {
		binary.BigEndian.PutUint32(b[4*k:], w)
	}
	if family == unix.AF_INET {
		return netip.AddrFrom4([4]byte(b[:4]))
	}
	return netip.AddrFrom16(b).Unmap()
}

// count returns what the programs printed.
func (c *FlowCounter) count() (all []byte, err error) {
	if err := putEntries(c.counts, make([]bpf.WaymarkOpenFlows, c.counts.MaxEntries())); err != nil {
		return nil, err
	}
	if err := c.walker.forgetListeners(); err != nil {
		return nil, err
	}
	for _, program := range []string{bpf.WaymarkProgCountTcp, bpf.WaymarkProgCountUdp} {
		printed, _, err := iterate(c.walker.programs[program])
		if err != nil {
			return nil, err
		}
		all = append(all, printed...)
	}
	return all, nil
}

// FlowsFrom lists the open flows of the calling thread's network namespace whose
// source has a port and an address.
func (i *Instance) FlowsFrom(source netip.AddrPort) ([]OpenFlow, error) {
	c, err := i.flowCounter(source.Port())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	_, flows, err := c.Count()
	return slices.DeleteFunc(flows, func(f OpenFlow) bool { return f.Source != source }), err
}

// OpenFlows counts the flows that are open, by line of counters, and lists those
// that stayed: of the calling thread's network namespace, and what changes left
// as they were in others, given by what does something in them.
func (i *Instance) OpenFlows(others ...func(func() error) error) (flows []Flows, stayed []OpenFlow, err error) {
	c, err := i.FlowCounter()
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	if flows, stayed, err = c.Count(); err != nil {
		return nil, nil, err
	}
	if err := c.walker.elsewhere(); err != nil {
		return nil, nil, err
	}
	for _, do := range others {
		err := do(func() error {
			kept, theirs, err := c.Count()
			for slot, f := range kept {
				flows[slot].Kept += f.Kept
			}
			stayed = append(stayed, theirs...)
			return err
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return flows, stayed, nil
}
