// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// attempts is how often a dump is asked for while its objects change under
// it, with a growing pause between, in all about 0.2 s; long ones, of which two
// can be put together, not again after that.
const (
	attempts = 20
	enough   = 200 * time.Millisecond
)

// dump is a question for every object of a kind.
type dump struct {
	kind   int
	answer uint16 // the kind of the messages that answer
	body   message

	// group is the multicast group that tells of changes, where the kernel
	// does not say itself that a dump was disturbed. Measured on 6.18: in
	// rules and IPv6 routes, a dump of more than one buffer silently loses
	// an object for each one removed before it meanwhile.
	group   int
	matters func(msg []byte) bool // whether a change of the group does; nil: all do

	// name is what an object is known by in two dumps that were disturbed: what
	// one of them lost the other has. A routing daemon with a full table does not
	// stop changing it, and nobody could read anything beside it. nil: an error.
	name func(msg []byte) string
}

// dump returns the body of every message that answers. It is all of them or
// an error, never a part.
func (h *Handle) dump(d dump) ([][]byte, error) {
	var before [][]byte // of the last reading that was disturbed
	begun := time.Now()
	for i := range attempts {
		time.Sleep(time.Duration(i) * time.Millisecond)
		var msgs [][]byte
		var err error
		disturbed := h.witness.watch(d, func() {
			msgs, err = execute(h.dumps, d.kind, unix.NLM_F_DUMP, d.answer, d.body)
		})
		switch {
		case errors.Is(err, nl.ErrDumpInterrupted):
		case errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOENT):
			return nil, nil // no such family here (ipv6.disable=1), or no such table
		case err != nil || !disturbed:
			return msgs, err
		case d.name != nil && before != nil && time.Since(begun) > enough:
			return d.together(before, msgs), nil
		default:
			before = msgs
		}
	}
	return nil, fmt.Errorf("changed during each of %d readings: try again when its other writer is done", attempts)
}

// together is the later of two dumps, with what only the earlier has: it was lost,
// or has gone since, and then whoever follows changes hears of that one, too.
func (d dump) together(earlier, later [][]byte) (msgs [][]byte) {
	known := make(map[string]bool, len(later))
	for _, m := range slices.Concat(later, earlier) {
		if name := d.name(m); !known[name] {
			known[name] = true
			msgs = append(msgs, m)
		}
	}
	return msgs
}

// witness hears of changes while something is read.
type witness struct {
	sync.Mutex
	socket *nl.NetlinkSocket
	buffer [nl.RECEIVE_BUFFER_SIZE]byte
}

// watch runs read, which must not watch anything itself, and tells whether
// a change that matters came meanwhile.
func (w *witness) watch(d dump, read func()) (disturbed bool) {
	if d.group == 0 {
		read()
		return false
	}
	w.Lock()
	defer w.Unlock()
	if err := w.member(unix.NETLINK_ADD_MEMBERSHIP, d.group); err != nil {
		return true
	}
	read()
	if err := w.member(unix.NETLINK_DROP_MEMBERSHIP, d.group); err != nil {
		return true
	}
	return w.heard(d.matters)
}

func (w *witness) member(option, group int) error {
	return unix.SetsockoptInt(w.socket.GetFd(), unix.SOL_NETLINK, option, group)
}

// heard empties the socket and tells whether anything in it mattered. An
// overrun did.
func (w *witness) heard(matters func([]byte) bool) bool {
	heard := false
	for {
		n, _, err := unix.Recvfrom(w.socket.GetFd(), w.buffer[:], unix.MSG_DONTWAIT)
		switch {
		case err == unix.EAGAIN:
			return heard
		case err == unix.ENOBUFS:
			heard = true
			continue
		case err != nil:
			return true
		}
		msgs, err := syscall.ParseNetlinkMessage(w.buffer[:n])
		for _, m := range msgs {
			heard = heard || matters == nil || matters(m.Data)
		}
		heard = heard || err != nil
	}
}
