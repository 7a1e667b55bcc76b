// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A Node is one machine of the laboratory: a network namespace.
type Node struct {
	Name string // "host", "router-a", "far", "lan", "container"

	lab   *Lab
	ns    netns.NsHandle
	inode uint64
	nl    *netlink.Handle
	ports map[string]*port

	startOnce sync.Once
	starts    chan func()
	quit      chan struct{}
	gone      chan struct{}
}

// newNode makes an anonymous namespace with lo up and the lab's sysctls.
func (l *Lab) newNode(name string) (*Node, error) {
	ns, err := newNamespace()
	if err != nil {
		return nil, fmt.Errorf("make namespace %s: %w", name, err)
	}
	n := &Node{
		Name: name, lab: l, ns: ns, ports: map[string]*port{},
		starts: make(chan func()), quit: make(chan struct{}), gone: make(chan struct{}),
	}
	l.nodes = append(l.nodes, n)
	var st unix.Stat_t
	if err := unix.Fstat(int(ns), &st); err != nil {
		return nil, fmt.Errorf("stat namespace %s: %w", name, err)
	}
	n.inode = st.Ino
	if n.nl, err = netlink.NewHandleAt(ns, unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("open netlink in %s: %w", name, err)
	}
	if err := n.writeSysctls(baseSysctls); err != nil {
		return nil, err
	}
	n.ports["lo"] = &port{}
	return n, nil
}

// Do runs fn on a thread of its own that is inside the node's namespace, and
// returns fn's error. Sockets that fn opens stay in the namespace wherever they
// are used later. Goroutines that fn starts are not inside.
func (n *Node) Do(fn func() error) error {
	return onThread(func() error {
		if err := netns.Set(n.ns); err != nil {
			return fmt.Errorf("enter namespace of %s: %w", n.Name, err)
		}
		return fn()
	})
}

// start runs fn on the node's one thread for starting processes. That thread
// lives as long as the lab, because a child's parent-death signal is sent when
// the thread that started it ends.
func (n *Node) start(fn func() error) error {
	n.startOnce.Do(func() {
		go func() {
			defer close(n.gone)
			_ = n.Do(n.serveStarts)
		}()
	})
	done := make(chan error, 1)
	select {
	case n.starts <- func() { done <- fn() }:
		return <-done
	case <-n.gone:
		return errors.New("lab is closed")
	}
}

func (n *Node) serveStarts() error {
	for {
		select {
		case f := <-n.starts:
			f()
		case <-n.quit:
			return nil
		}
	}
}

// close gives the namespace up; the kernel takes it apart with all its links.
func (n *Node) close() error {
	n.startOnce.Do(func() { close(n.gone) })
	close(n.quit)
	<-n.gone
	if n.nl != nil {
		n.nl.Close()
	}
	return n.ns.Close()
}

// NetnsPath names the namespace in a way that `nsenter --net=` and `ip link set
// ... netns` accept, until Close.
func (n *Node) NetnsPath() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(n.ns)) }

// Inode is the namespace's inode number, as in the link /proc/PID/ns/net.
func (n *Node) Inode() uint64 { return n.inode }

// Handle is a netlink connection inside the node's namespace, closed by Close.
func (n *Node) Handle() *netlink.Handle { return n.nl }
