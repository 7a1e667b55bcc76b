// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// settle takes every link up, configures it, and waits for silence.
func (l *Lab) settle() error {
	for _, n := range l.nodes {
		for name := range n.ports {
			link, err := n.link(name)
			if err != nil {
				return err
			}
			if err := n.nl.LinkSetUp(link); err != nil {
				return fmt.Errorf("set %s of %s up: %w", name, n.Name, err)
			}
		}
	}
	for _, n := range l.nodes {
		for name := range n.ports {
			if err := n.configure(name); err != nil {
				return err
			}
		}
	}
	return l.awaitSilence(func(*Node, string) bool { return true })
}

const (
	silence    = 20 * time.Millisecond // for what was just sent to arrive at captures
	settleTime = 5 * time.Second
)

// awaitSilence returns once the wanted ports are in operation and no port of the
// lab has sent for a while.
func (l *Lab) awaitSilence(wanted func(n *Node, iface string) bool) error {
	deadline := time.Now().Add(settleTime)
	since, last := time.Now(), uint64(0)
	for time.Since(since) < silence {
		if time.Now().After(deadline) {
			return fmt.Errorf("await silence: links still change or send after %s", settleTime)
		}
		sent, ready := uint64(0), true
		for _, n := range l.nodes {
			nodeSent, nodeReady, err := n.progress(wanted)
			if err != nil {
				return err
			}
			sent, ready = sent+nodeSent, ready && nodeReady
		}
		if !ready || sent != last {
			since, last = time.Now(), sent
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

// progress counts what the node's ports have sent, and tells whether those
// wanted are in operation. Asking for one link, unlike listing all, makes the
// kernel finish the link's pending changes first.
func (n *Node) progress(wanted func(n *Node, iface string) bool) (sent uint64, ready bool, err error) {
	local, err := n.localAddresses()
	if err != nil {
		return 0, false, err
	}
	ready = true
	for name, p := range n.ports {
		link, err := n.link(name)
		if err != nil {
			return 0, false, err
		}
		sent += statsOf(link).TxPackets
		if !wanted(n, name) {
			continue
		}
		ready = ready && operational(link)
		for _, a := range p.addresses {
			ready = ready && (a.Addr().Is4() || local[localAddress{a.Addr(), link.Attrs().Index}])
		}
	}
	reporting, err := n.isReporting()
	return sent, ready && !reporting, err
}

type localAddress struct {
	address netip.Addr
	link    int
}

// localAddresses are the IPv6 addresses that the node answers to. The kernel
// adds an address's local route after the address, in a work queue that a busy
// machine may keep waiting.
func (n *Node) localAddresses() (map[localAddress]bool, error) {
	table := &netlink.Route{Table: unix.RT_TABLE_LOCAL}
	routes, err := n.nl.RouteListFiltered(unix.AF_INET6, table, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("list local routes of %s: %w", n.Name, err)
	}
	local := map[localAddress]bool{}
	for _, r := range routes {
		if a, ok := netip.AddrFromSlice(r.Dst.IP); ok {
			local[localAddress{a, r.LinkIndex}] = true
		}
	}
	return local, nil
}

// timerRunning is MAF_TIMER_RUNNING, a flag of a multicast group that has a
// report still to send.
const timerRunning = 1

// isReporting tells whether a link has a multicast report still to send.
func (n *Node) isReporting() (reporting bool, err error) {
	err = n.Do(func() error {
		groups, err := os.ReadFile("/proc/thread-self/net/igmp6")
		for line := range strings.Lines(string(groups)) {
			// index, link, group, users, flags, time left
			if fields := strings.Fields(line); len(fields) > 4 {
				flags, _ := strconv.ParseUint(fields[4], 16, 32)
				reporting = reporting || flags&timerRunning != 0
			}
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("read multicast groups of %s: %w", n.Name, err)
	}
	return reporting, nil
}

func operational(link netlink.Link) bool {
	state := link.Attrs().OperState
	return state == netlink.OperUp || state == netlink.OperUnknown && link.Type() == "device"
}
