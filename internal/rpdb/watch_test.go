// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// TestWatch hears what others change, with the port of who asked, and not
// what its own handle does.
func TestWatch(t *testing.T) {
	h := namespace(t)
	other := must(Open())(t)
	defer other.Close()
	w := must(h.Watch())(t)
	heard, done := make(chan Change, 100), make(chan error, 1)
	go func() {
		done <- w.Run(func(c Change) {
			if c.Rule != nil { // a fresh namespace's links still have things to say
				heard <- c
			}
		})
	}()
	port := must(other.changes[unix.NETLINK_ROUTE].Socket.GetPid())(t)

	own := plan.Rule{Family: plan.IPv4, Priority: 900, Action: plan.Unreachable, Protocol: plan.Protocol}
	rule := plan.Rule{Family: plan.IPv6, Priority: 901, Mark: 1, Mask: 3, Action: plan.Lookup, Table: 7001, Protocol: plan.Protocol}
	for _, change := range []func() error{
		func() error { return h.AddRule(own) },
		func() error { return other.AddRule(rule) },
		func() error { return h.DeleteRule(own) },
		func() error { return other.DeleteRule(rule) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
	}
	for _, deleted := range []bool{false, true} {
		select {
		case c := <-heard:
			if *c.Rule != rule || c.Deleted != deleted || c.Port != port {
				t.Errorf("heard %+v of %v, want %v by %d", c, c.Rule, rule, port)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("heard nothing")
		}
	}
	w.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(heard) > 0 {
		t.Errorf("heard more: %+v", <-heard)
	}
}

// TestWatchLinks hears which links are new, and not only changed.
func TestWatchLinks(t *testing.T) {
	h := namespace(t)
	w := must(h.Watch())(t)
	heard, done := make(chan Change, 100), make(chan error, 1)
	go func() { done <- w.Run(func(c Change) { heard <- c }) }()
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	fresh := func() bool {
		select {
		case c := <-heard:
			return c.Fresh
		case <-time.After(20 * time.Second):
			t.Fatal("heard nothing")
			return false
		}
	}
	if err := netlink.LinkAdd(link); err != nil {
		t.Fatal(err)
	}
	for !fresh() {
	}
	if err := netlink.LinkSetMTU(link, 1400); err != nil {
		t.Fatal(err)
	}
	if fresh() {
		t.Error("a link whose MTU changed is taken for a new one")
	}
	w.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
