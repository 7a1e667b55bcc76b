// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"slices"

	"waymark/classes"
)

// cgroupPrograms are the programs at the cgroup hooks, in the order in
// which they are attached, each with what it is for. Those that see a socket
// last are attached first: where two instances meet while one takes over,
// the newer one's word on a socket is the last.
var cgroupPrograms = []Hook{
	{Program: "sendmsg4", Why: "marks an unconnected datagram socket for each destination"},
	{Program: "sendmsg6", Why: "the same for IPv6"},
	{Program: "connect4", Why: "marks a socket when its destination is known"},
	{Program: "connect6", Why: "the same for IPv6, v4-mapped and MPTCP"},
	{Program: "sock_create", Why: "marks a socket at its creation, by cgroup and uid"},
	{Program: "setsockopt", Why: "keeps a class's mark on its sockets when their application sets its own"},
	{Program: "accepted", Why: "remembers which connections came in, for they leave where they came"},
	{Program: "arrive", Why: "counts what comes in for a class, and remembers where an unbound datagram server was asked, for its answer's source"},
}

// armPrograms are those that follow the cgroup tree. They come before all
// others, and before the tree is looked through: no cgroup falls in between.
var armPrograms = []Hook{
	{Program: "arm", Place: "tracepoint cgroup_mkdir", Why: "arms a cgroup when it is made, before any process can be in it"},
	{Program: "disarm", Place: "tracepoint cgroup_rmdir", Why: "forgets a cgroup that is removed"},
}

// Arms tells whether the hook is one of ArmPrograms.
func (h Hook) Arms() bool {
	return slices.ContainsFunc(armPrograms, func(a Hook) bool { return a.Program == h.Program })
}

// TracePrograms are those at the kernel's other tracepoints, by what they count.
var TracePrograms = map[classes.Group]Hook{
	classes.GroupDrops: {Program: "dropped", Place: "tracepoint kfree_skb", Why: "counts what the kernel drops, by its reason"},
	classes.GroupSends: {Program: "sends", Place: "tracepoint sock_send_length", Why: "counts datagrams that could not be sent"},
	classes.GroupQueue: {Program: "departs", Place: "tracepoint net_dev_start_xmit", Why: "takes the time that packets wait in the queue"},
}

// Traces tells whether the hook is at a tracepoint.
func (h Hook) Traces() bool {
	for _, t := range TracePrograms {
		if t.Program == h.Program {
			return true
		}
	}
	return h.Arms()
}

// EgressProgram is the program at every uplink's tc egress.
const EgressProgram = "egress"

// EgressPin is the name under which an uplink's egress hook is pinned.
func EgressPin(uplink int) string { return fmt.Sprintf("%s-%d", EgressProgram, uplink) }

// EntersProgram is the program at every uplink's tc ingress.
const EntersProgram = "enters"

// AtInterface tells whether the hook is at an interface.
func (h Hook) AtInterface() bool {
	return h.Program == EgressProgram || h.Program == EntersProgram || h.Program == IngressProgram
}

// IngressProgram is the program at the tc ingress of every interface that
// packets of others come in by.
const IngressProgram = "ingress"

// IngressPin is the name under which the ingress hook of an interface is pinned,
// by the interface's index.
func IngressPin(index int) string { return fmt.Sprintf("%s-%d", IngressProgram, index) }

func (m *maker) hooks(o Options) {
	for _, h := range armPrograms {
		if h.Pin = h.Program; m.facts.Arms {
			m.plan.Hooks = append(m.plan.Hooks, h)
		}
	}
	for _, h := range cgroupPrograms {
		h.Place, h.Pin = o.CgroupRoot, h.Program
		m.plan.Hooks = append(m.plan.Hooks, h)
	}
	for _, u := range m.plan.Uplinks {
		if u.Index != 0 {
			m.plan.Hooks = append(m.plan.Hooks, Hook{Program: EgressProgram, Place: u.Interface, Pin: EgressPin(u.Number), Uplink: u.Number, Master: u.VRF.Index, Why: "counts what leaves by uplink " + u.Name + ", and mends its way"},
				Hook{Program: EntersProgram, Place: u.Interface, Pin: fmt.Sprintf("%s-%d", EntersProgram, u.Number), Uplink: u.Number, Why: "counts what comes in by uplink " + u.Name})
		}
	}
	for _, g := range classes.Groups {
		h, traces := TracePrograms[g]
		if h.Pin = h.Program; traces && m.facts.Traces[h.Program] && !slices.Contains(m.plan.Off, g) {
			m.plan.Hooks = append(m.plan.Hooks, h)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.facts.Inner)) {
		if m.isUplink(name) {
			continue
		}
		in := m.facts.Inner[name]
		_, filters := m.facts.Sysctls[bridgeFilter]
		m.plan.Hooks = append(m.plan.Hooks, Hook{Program: IngressProgram, Place: name, Pin: IngressPin(in.Index),
			Master: in.Master, Filtered: in.Bridge && filters, Why: "classes what is forwarded from there"})
	}
}

func (m *maker) isUplink(name string) bool {
	return slices.ContainsFunc(m.plan.Uplinks, func(u Uplink) bool { return u.Interface == name })
}

// key is the hook without its reason: what the kernel holds of it.
func (h Hook) key() Hook {
	h.Why = ""
	return h
}
