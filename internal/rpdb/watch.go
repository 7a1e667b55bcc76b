// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// watched are the multicast groups that tell of rules and routes, and of
// what these hang on: links, their addresses and their settings.
var watched = []int{
	unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
	unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF,
}

// Change is one notice of the kernel. Of a rule or a route it says which
// one; neither is set for a link, an address or a setting, and after notices
// were lost.
type Change struct {
	Rule    *plan.Rule
	Route   *plan.Route // without Hops and Down
	Deleted bool
	Fresh   bool   // of a link that was not there before
	Lost    int    // ifindex of a link that has no carrier, or is down; 0: the notice is of something else
	Port    uint32 // netlink port of the socket that asked for it; 0: nobody did
}

// Watch hears of changes that others than its Handle make.
type Watch struct {
	file *os.File
	own  uint32
}

// Watch begins to listen, in the calling thread's network namespace. Close it
// after use.
func (h *Handle) Watch() (*Watch, error) {
	own, err := h.changes[unix.NETLINK_ROUTE].Socket.GetPid()
	if err != nil {
		return nil, fmt.Errorf("watch rtnetlink: %w", err)
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("watch rtnetlink: %w", err)
	}
	w := &Watch{file: os.NewFile(uintptr(fd), "rtnetlink"), own: own}
	if err := join(fd); err != nil {
		w.Close()
		return nil, fmt.Errorf("watch rtnetlink: %w", err)
	}
	return w, nil
}

func join(fd int) error {
	// A storm that the larger buffer does not hold is told of as lost.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for _, group := range watched {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group); err != nil {
			return err
		}
	}
	return nil
}

// Close ends Run.
func (w *Watch) Close() { w.file.Close() }

// Run calls hear for every change until the Watch is closed, which is no
// error. hear runs before the next notice is read.
func (w *Watch) Run(hear func(Change)) error {
	buffer := make([]byte, 64<<10)
	for {
		n, err := w.file.Read(buffer)
		switch {
		case errors.Is(err, os.ErrClosed):
			return nil
		case errors.Is(err, unix.ENOBUFS):
			hear(Change{})
			continue
		case err != nil:
			return fmt.Errorf("watch rtnetlink: %w", err)
		}
		msgs, err := syscall.ParseNetlinkMessage(buffer[:n])
		if err != nil {
			hear(Change{})
		}
		for _, m := range msgs {
			if c, matters := decodeChange(m); matters && (c.Port == 0 || c.Port != w.own) {
				hear(c)
			}
		}
	}
}

// decodeChange reads a notice. What cannot be read matters, for it may be
// anything; entries of caches and of the local table do not.
func decodeChange(m syscall.NetlinkMessage) (Change, bool) {
	c := Change{Port: m.Header.Pid}
	switch m.Header.Type {
	case unix.RTM_NEWRULE, unix.RTM_DELRULE:
		c.Deleted = m.Header.Type == unix.RTM_DELRULE
		if r, err := decodeRule(m.Data); err == nil {
			c.Rule = &r
		}
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		c.Deleted = m.Header.Type == unix.RTM_DELROUTE
		r, err := decodeRoute(m.Data)
		if err == nil && !wanted(r, 0) {
			return c, false
		}
		if err == nil {
			c.Route = &r.Route
		}
	case unix.RTM_NEWLINK:
		var head unix.IfInfomsg
		if _, err := binary.Decode(m.Data, binary.NativeEndian, &head); err != nil {
			return c, true
		}
		c.Fresh = head.Change == math.MaxUint32 // of one that changes, it says what does
		if head.Flags&unix.IFF_RUNNING == 0 {
			c.Lost = int(head.Index)
		}
	}
	return c, true
}
