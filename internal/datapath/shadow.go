// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"waymark/bpf"
	"waymark/internal/plan"
)

// shadowed are the maps that say what class a flow is of. All that is counted
// or noted by the way is not among them.
var shadowed = []string{bpf.WaymarkMapCgroups, bpf.WaymarkMapClasses, bpf.WaymarkMapInside, bpf.WaymarkMapLive,
	bpf.WaymarkMapPins, bpf.WaymarkMapSwitches, bpf.WaymarkMapTables, bpf.WaymarkMapUplinks, bpf.WaymarkMapWholeMarks}

// shadowPrograms are those that class a socket.
var shadowPrograms = []string{bpf.WaymarkProgSockCreate, bpf.WaymarkProgConnect4, bpf.WaymarkProgConnect6,
	bpf.WaymarkProgSendmsg4, bpf.WaymarkProgSendmsg6}

// Shadow is an instance's programs once more, for the sockets of another
// network namespace: they answer by the tables that are in force, and count on
// their own. They are attached to single cgroups, and end with this process.
type Shadow struct {
	of       *Instance
	programs map[string]*ebpf.Program
	ingress  map[uint32]*ebpf.Program // by what packets come in by
	egress   link.Link                // at the namespace's loopback; nil before Watch
	counters *ebpf.Map                // of that
}

// Shadow is the instance's, for the network namespace with this cookie. The
// instance has to stay open as long.
func (i *Instance) Shadow(netnsCookie uint64) (*Shadow, error) {
	s := &Shadow{programs: map[string]*ebpf.Program{}, ingress: map[uint32]*ebpf.Program{}}
	settings := i.settings
	settings.NetnsCookie = netnsCookie
	s.of = &Instance{dir: i.dir, settings: settings}
	for _, name := range shadowed {
		*s.of.fields()[name] = *i.fields()[name]
	}
	spec, err := s.of.spec(shadowPrograms...)
	if err != nil {
		return nil, err
	}
	c, err := s.of.collect(spec)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for _, name := range shadowPrograms {
		s.programs[name] = c.DetachProgram(name)
	}
	return s, nil
}

// Close detaches and forgets the programs.
func (s *Shadow) Close() {
	for _, p := range s.programs {
		p.Close()
	}
	for _, p := range s.ingress {
		p.Close()
	}
	if s.egress != nil {
		s.egress.Close()
	}
	s.counters.Close()
}

// Attach puts the programs at one cgroup, for the sockets that processes in it
// make, connect and send by, until detach is called.
func (s *Shadow) Attach(cgroup string) (detach func(), err error) {
	dir, err := os.Open(cgroup)
	if err != nil {
		return nil, fmt.Errorf("attach to cgroup: %w", err)
	}
	defer dir.Close()
	var links []link.Link
	detach = func() {
		for _, l := range links {
			l.Close()
		}
	}
	for _, name := range shadowPrograms {
		l, err := link.AttachRawLink(link.RawLinkOptions{Target: int(dir.Fd()), Program: s.programs[name], Attach: cgroupAttach[name]})
		if err != nil {
			detach()
			return nil, fmt.Errorf("attach %s to cgroup %s: %w", name, cgroup, err)
		}
		links = append(links, l)
	}
	return detach, nil
}

// Forwarded is the mark that a packet without one gets which comes in by an
// interface, from its Ethernet header on. It has this process's cgroup, and
// the uid 0.
func (s *Shadow) Forwarded(ifindex uint32, frame []byte) (mark uint32, err error) {
	if s.ingress[ifindex] == nil {
		if err := s.loadIngress(ifindex); err != nil {
			return 0, err
		}
	}
	var before, after struct{ Words [48]uint32 } // struct __sk_buff
	const markWord = 2
	_, err = s.ingress[ifindex].Run(&ebpf.RunOptions{Data: frame, Context: before, ContextOut: &after})
	if err != nil {
		return 0, fmt.Errorf("run %s: %w", bpf.WaymarkProgIngress, err)
	}
	return after.Words[markWord], nil
}

func (s *Shadow) loadIngress(ifindex uint32) error {
	spec, err := s.of.spec(bpf.WaymarkProgIngress)
	if err != nil {
		return err
	}
	const ethernet = 14
	if err := errors.Join(spec.Variables[bpf.WaymarkVarMaster].Set(ifindex), spec.Variables[bpf.WaymarkVarLinkHeader].Set(uint32(ethernet))); err != nil {
		return err
	}
	c, err := s.of.collect(spec)
	if err != nil {
		return err
	}
	defer c.Close()
	s.ingress[ifindex] = c.DetachProgram(bpf.WaymarkProgIngress)
	return nil
}

// Watch puts the program for what leaves at the loopback of the calling thread's
// network namespace, which has to be the shadow's, until Close. Errors that are
// ebpf.ErrNotSupported say that the kernel has no tcx.
func (s *Shadow) Watch() error {
	if s.egress != nil {
		return nil
	}
	spec, err := s.of.spec(bpf.WaymarkProgEgress)
	if err != nil {
		return err
	}
	const ethernet = 14
	if err := spec.Variables[bpf.WaymarkVarLinkHeader].Set(uint32(ethernet)); err != nil {
		return err
	}
	c, err := s.of.collect(spec)
	if err != nil {
		return err
	}
	defer c.Close()
	const loopback = 1
	s.egress, err = link.AttachTCX(link.TCXOptions{Interface: loopback, Program: c.Programs[bpf.WaymarkProgEgress], Attach: tcxAttach[plan.EgressProgram]})
	if err != nil {
		return fmt.Errorf("attach %s to the loopback: %w", bpf.WaymarkProgEgress, err)
	}
	s.counters = c.DetachMap(bpf.WaymarkMapCounters)
	return nil
}

// Seen is how many packets have left by the loopback, since Watch, in the class
// with a line of counters; 0 is that of none.
func (s *Shadow) Seen(slot uint32) (uint64, error) {
	sum, err := s.of.sum(s.of.lineOf(slot, 0), s.counters)
	if err != nil {
		return 0, fmt.Errorf("read the counters: %w", err)
	}
	c := countersOf((*bpf.WaymarkClassCounters)(unsafe.Pointer(&sum)))
	return c.Packets + c.Misroutes + c.Causes.Chosen, nil
}
