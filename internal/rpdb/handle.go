// SPDX-License-Identifier: Apache-2.0

// Package rpdb reads the rules and tables of a host, and changes those that
// carry our protocol number, and no others.
package rpdb

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ErrForeign is in the chain of an error when a route could only be
// written over one that somebody else made. The text names that route.
var ErrForeign = errors.New("somebody else's route has this destination and metric")

// patience bounds the wait for one answer of the kernel.
const patience = 10 * time.Second

// Handle reads and changes the rules and routes of one network namespace.
// It may be used by several goroutines at once, from any namespace.
type Handle struct {
	// Dumps and changes have a socket each: the library misreads a dump
	// that ends in an explained error, so explanations are asked for only
	// where changes are made.
	dumps, changes sockets
	witness        witness
}

// sockets is a socket in the form in which the library takes it.
type sockets map[int]*nl.SocketHandle

// Open opens a Handle on the calling thread's network namespace. Close it
// after use.
func Open() (*Handle, error) {
	var opened [3]*nl.NetlinkSocket
	for i := range opened {
		s, err := open()
		if err != nil {
			closeAll(opened[:i])
			return nil, fmt.Errorf("open rtnetlink: %w", err)
		}
		opened[i] = s
	}
	// A kernel without these options filters less and explains less, no more.
	_ = unix.SetsockoptInt(opened[0].GetFd(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	_ = opened[1].SetExtAck(true)
	return &Handle{
		dumps:   sockets{unix.NETLINK_ROUTE: {Socket: opened[0]}},
		changes: sockets{unix.NETLINK_ROUTE: {Socket: opened[1]}},
		witness: witness{socket: opened[2]},
	}, nil
}

func open() (*nl.NetlinkSocket, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	timeout := unix.NsecToTimeval(patience.Nanoseconds())
	return s, errors.Join(s.SetSendTimeout(&timeout), s.SetReceiveTimeout(&timeout))
}

// Close releases the handle's sockets.
func (h *Handle) Close() {
	closeAll([]*nl.NetlinkSocket{h.dumps[unix.NETLINK_ROUTE].Socket, h.changes[unix.NETLINK_ROUTE].Socket, h.witness.socket})
}

func closeAll(opened []*nl.NetlinkSocket) {
	for _, s := range opened {
		s.Close()
	}
}

// change sends one request that alters something, or asks for one object,
// and returns what the kernel answers beside its acknowledgement.
func (h *Handle) change(kind, flags int, body message) ([][]byte, error) {
	return execute(h.changes, kind, flags, 0, body)
}

func execute(s sockets, kind, flags int, answer uint16, body message) ([][]byte, error) {
	req := nl.NewNetlinkRequest(kind, flags)
	req.Sockets = s
	req.AddRawData(body)
	return req.Execute(unix.NETLINK_ROUTE, answer)
}
