// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"testing"
	"time"

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
