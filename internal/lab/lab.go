// SPDX-License-Identifier: Apache-2.0

// Package lab is a multi-homed host with its routers and a far server, in
// namespaces and a cgroup subtree of its own; used by demo, verify and the
// tests, imports none of ours.
//
//	            +- router a -+
//	lan -- host +            +- far (203.0.113.1-4, 2001:db8:f::1-4)
//	 container -+- router b -+
//
// Its namespaces have no name: open descriptors of this process hold them, and
// they end with it, even by SIGKILL. Neighbours are permanent and the links
// silent once New returns, so a test may compare counters to the packet.
package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
)

// Options chooses what a Lab holds. The zero value is a host with two uplinks,
// "a" its default route, and a far server behind both.
type Options struct {
	Uplinks     int  // how many, named "a", "b", ...; 0 means 2, at most 26
	AllDefaults bool // main holds a default route by every uplink, not only by "a"
	RPFilter    int  // net.ipv4.conf.*.rp_filter of the host: 0 off, 1 strict, 2 loose
	LAN         bool // a bridge br-lan on the host and one client behind it
	Container   bool // a namespace behind a veth pair of the host, without a bridge
	Forward     bool // the host forwards IPv4 and IPv6
	Offload     bool // leave segmentation and receive offloads on
	SlowCarrier bool // the host learns of carrier changes as late as on a plain network card
}

// A Lab is one running laboratory. Its nodes may be used from any goroutine
// until Close.
type Lab struct {
	Host      *Node
	Far       *Node
	LAN       *Node   // nil unless Options.LAN
	Container *Node   // nil unless Options.Container
	Routers   []*Node // one for each uplink, in order

	options Options
	uplinks []Uplink
	nodes   []*Node
	cgroups cgroupTree
	macs    byte

	mu      sync.Mutex
	closed  bool
	closers []io.Closer // servers, captures and processes that have not ended, in the order they began
}

// New builds a laboratory and returns when its links are up and silent. It
// needs root and a writable cgroup2 mount. On error it leaves nothing behind.
func New(options Options) (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("build lab: not root: it makes network namespaces and cgroups")
	}
	if options.Uplinks == 0 {
		options.Uplinks = 2
	}
	if options.Uplinks < 1 || options.Uplinks > 26 {
		return nil, fmt.Errorf("build lab: %d uplinks: want 1 to 26", options.Uplinks)
	}
	l := &Lab{options: options}
	if err := l.build(); err != nil {
		return nil, fmt.Errorf("build lab: %w", errors.Join(err, l.Close()))
	}
	return l, nil
}

// Close ends every process, server and capture of the lab and removes its
// cgroups and namespaces. A second call does nothing and returns nil.
func (l *Lab) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	closers := l.closers
	l.mu.Unlock()

	// The cgroup goes first: it holds the grandchildren, whose pipes would
	// keep Wait from returning.
	errs := []error{l.cgroups.kill()}
	for i := len(closers) - 1; i >= 0; i-- {
		errs = append(errs, closers[i].Close())
	}
	for _, n := range l.nodes {
		errs = append(errs, n.close())
	}
	return errors.Join(append(errs, l.cgroups.remove())...)
}

// own makes Close end c too. It fails once Close has begun; the caller then
// ends c itself.
func (l *Lab) own(c io.Closer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errors.New("lab is closed")
	}
	l.closers = append(l.closers, c)
	return nil
}

// disown forgets c, which has ended.
func (l *Lab) disown(c io.Closer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Once Close has begun, the list is its own.
	if i := slices.Index(l.closers, c); i >= 0 && !l.closed {
		l.closers = slices.Delete(l.closers, i, i+1)
	}
}
