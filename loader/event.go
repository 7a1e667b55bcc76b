// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"waymark/bpf"
	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/host"
)

// Kinds of events.
const (
	EventOpened     = "opened"   // a class's flow began
	EventAccepted   = "accepted" // a listener of a class's answered a connection
	EventMisrouted  = "misroute" // packets left by another uplink than their class's
	EventRepaired   = "repair"   // they were about to, and were sent to the right one
	EventRefused    = "refused"  // they were about to, and were not let out
	EventDropped    = "drop"     // the kernel dropped packets of a class
	EventLinkUp     = "up"       // an uplink's link came
	EventLinkDown   = "down"     // or went
	EventFailedOver = "failover" // a class leaves by another uplink than before
	EventInForce    = "applied"  // another state is in force
	EventHealed     = "heal"     // an agent put something back
	EventUntold     = "untold"   // there was no room for events
	EventWatching   = "watching" // from here on nothing is missed; again when other programs of ours were attached
)

// Event is something that happened. What a kind of event does not have is
// empty.
type Event struct {
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`
	Class   string    `json:"class,omitempty"`
	Uplink  string    `json:"uplink,omitempty"` // it leaves by, or was about to
	Proto   string    `json:"proto,omitempty"`
	Source  string    `json:"source,omitempty"` // address:port, or an address where there are no ports
	Peer    string    `json:"peer,omitempty"`   // the same of the other end
	Cgroup  string    `json:"cgroup,omitempty"` // of the socket, below the cgroup root
	PID     uint32    `json:"pid,omitempty"`    // of the process that connected or sent, while somebody watched
	Command string    `json:"command,omitempty"`
	UID     *uint32   `json:"uid,omitempty"`     // of the socket
	Cause   string    `json:"cause,omitempty"`   // of a misroute, a repair, a refusal
	Reason  string    `json:"reason,omitempty"`  // of a drop
	Place   string    `json:"place,omitempty"`   // of a drop: the kernel's function
	Packets uint64    `json:"packets,omitempty"` // that it is of: those of this flow since its last event of the kind; or events that were not told
	Text    string    `json:"text,omitempty"`    // what no other field says

	peer netip.Addr
}

var eventKinds = map[uint32]string{
	uint32(bpf.WatchEventKindEVENT_OPENED):   EventOpened,
	uint32(bpf.WatchEventKindEVENT_ACCEPTED): EventAccepted,
	uint32(bpf.WatchEventKindEVENT_MISROUTE): EventMisrouted,
	uint32(bpf.WatchEventKindEVENT_REPAIRED): EventRepaired,
	uint32(bpf.WatchEventKindEVENT_REFUSED):  EventRefused,
	uint32(bpf.WatchEventKindEVENT_DROPPED):  EventDropped,
}

// The causes in the words of the README.
var causes = map[uint32]string{
	uint32(bpf.WaymarkMisrouteCauseCAUSE_BEFORE):   "opened before apply",
	uint32(bpf.WaymarkMisrouteCauseCAUSE_LATE):     "late mark",
	uint32(bpf.WaymarkMisrouteCauseCAUSE_FOREIGN):  "foreign mark",
	uint32(bpf.WaymarkMisrouteCauseCAUSE_PINNED):   "source pinned",
	uint32(bpf.WaymarkMisrouteCauseCAUSE_NO_ROUTE): "no route",
}

// event puts a kernel's event into words.
func (w *watcher) event(k bpf.WatchEvent) Event {
	e := Event{Time: w.timeOf(k.Ns), Kind: eventKinds[k.Kind], Class: w.classOf(k.Mark), Uplink: w.uplinkAt(k.Ifindex),
		Cgroup: w.cgroup(k.Cgroup), PID: k.Pid, Command: command(k.Command[:]), Packets: k.Packets}
	const nobody = ^uint32(0)
	if k.Uid != nobody {
		e.UID = &k.Uid
	}
	switch e.Kind {
	case EventMisrouted, EventRepaired, EventRefused:
		e.Cause = causes[k.Cause]
	case EventDropped:
		e.Reason, e.Place = datapath.DropReason(k.Reason), datapath.KernelFunction(k.Place)
	default:
		e.Packets = 0
	}
	e.Proto = classes.ProtocolName(k.Flow.Proto)
	source := address(k.Flow.Addresses[0], k.Flow.Family)
	e.peer = address(k.Flow.Addresses[1], k.Flow.Family)
	e.Source, e.Peer = withPort(source, k.Flow.Ports[0]), withPort(e.peer, k.Flow.Ports[1])
	return e
}

func address(words [4]uint32, family uint8) netip.Addr {
	var b [16]byte
	for i, w := range words {
		binary.NativeEndian.PutUint32(b[4*i:], w)
	}
	if family == unix.AF_INET {
		return netip.AddrFrom4([4]byte(b[:4]))
	}
	return netip.AddrFrom16(b)
}

func withPort(a netip.Addr, port uint16) string {
	if port == 0 {
		return a.String()
	}
	return netip.AddrPortFrom(a, port).String()
}

func command(c []int8) string {
	var b strings.Builder
	for _, x := range c {
		if x == 0 {
			break
		}
		b.WriteByte(byte(x))
	}
	return b.String()
}

// timeOf is the time of a moment of the clock that counts since boot.
func (w *watcher) timeOf(ns uint64) time.Time {
	return time.Now().Add(time.Duration(ns) - host.SinceBoot())
}

func (w *watcher) classOf(mark uint32) string {
	for _, c := range w.plan.Classes {
		if c.Mark == mark&uint32(w.plan.Mask) {
			return c.Name
		}
	}
	return fmt.Sprintf("mark %#x", mark)
}

func (w *watcher) uplinkAt(index uint32) string {
	for _, u := range w.plan.Uplinks {
		if u.Index == int(index) {
			return u.Name
		}
	}
	return ""
}
