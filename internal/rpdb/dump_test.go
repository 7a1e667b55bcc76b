// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// churn runs change again and again, with a pause between, until the returned
// function is called.
func churn(pause time.Duration, change func()) (stop func()) {
	ask, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ask:
				return
			case <-time.After(pause):
				change()
			}
		}
	}()
	return func() { close(ask); <-done }
}

// checkWhole reads while things change and once when they no longer do; a
// reading is whole or an error.
func checkWhole(t *testing.T, want int, change func(), read func() (int, error)) {
	t.Helper()
	stop := churn(200*time.Microsecond, change) // so that some readings are quiet
	for range 100 {
		if n, err := read(); err == nil && n != want {
			t.Errorf("read %d of %d without an error", n, want)
		}
	}
	stop()
	if n, err := read(); err != nil || n != want {
		t.Errorf("read %d of %d afterwards: %v", n, want, err)
	}
}

func TestRulesAreWholeWhileOthersChange(t *testing.T) {
	h := namespace(t)
	rule := func(i int) plan.Rule {
		return plan.Rule{Family: plan.IPv4, Priority: uint32(1000 + i), Action: plan.Lookup, Table: 100, Protocol: plan.Protocol}
	}
	const stable = 1000
	for i := range stable {
		if err := h.newRule(rule(1+i), 0); err != nil {
			t.Fatal(err)
		}
	}
	change := func() {
		if h.newRule(rule(0), 0) != nil || h.deleteFirst(rule(0)) != nil {
			t.Error("cannot add and delete a rule")
		}
	}
	checkWhole(t, stable, change, func() (n int, err error) {
		rules, err := h.Rules()
		for _, r := range rules {
			if r.Priority > 1000 && r.Protocol == plan.Protocol {
				n++
			}
		}
		return n, err
	})
}

func TestRoutesAreWholeWhileOthersChange(t *testing.T) {
	for format, family := range map[string]plan.Family{"172.16.%d.%d/32": plan.IPv4, "2001:db8:ff:%x::%x/128": plan.IPv6} {
		t.Run(family.String(), func(t *testing.T) {
			h := namespace(t)
			route := func(i int) plan.Route {
				dst := netip.MustParsePrefix(fmt.Sprintf(format, i/200, i%200))
				return plan.Route{Family: family, Table: 100, Dst: dst, Protocol: plan.Protocol, Hops: []plan.NextHop{{Interface: "a"}}}
			}
			const stable = 1000
			for i := range stable {
				if err := h.addRoute(route(1 + i)); err != nil {
					t.Fatal(err)
				}
			}
			change := func() {
				_, err := h.change(unix.RTM_DELROUTE, unix.NLM_F_ACK, encodeKey(route(0), 0, unix.RT_SCOPE_NOWHERE, 0))
				if h.addRoute(route(0)) != nil || err != nil && err != unix.ESRCH {
					t.Error("cannot add and delete a route")
				}
			}
			checkWhole(t, stable, change, func() (n int, err error) {
				routes, err := h.routesOf(family, 100)
				for _, r := range routes {
					if r.Dst != route(0).Dst {
						n++
					}
				}
				return n, err
			})
		})
	}
}

// A routing daemon with a full table does not stop changing it, and a reading of
// all of that takes longer than it pauses.
func TestRoutesAreReadWhileADaemonNeverStops(t *testing.T) {
	h := namespace(t)
	route := func(table uint32, i int) plan.Route {
		dst := netip.MustParsePrefix(fmt.Sprintf("2001:db8:ff:%x::%x/128", i/200, i%200))
		return plan.Route{Family: plan.IPv6, Table: table, Dst: dst, Protocol: plan.Protocol, Hops: []plan.NextHop{{Interface: "a"}}}
	}
	const stable = 2000
	for i := range stable {
		if err := h.addRoute(route(100, i)); err != nil {
			t.Fatal(err)
		}
	}
	learnt := 0
	stop := churn(0, func() {
		if err := h.addRoute(route(101, learnt)); err != nil {
			t.Error(err)
		}
		learnt++
	})
	defer stop()
	for range 2 {
		routes, err := h.Routes()
		n := 0
		for _, r := range routes {
			if r.Table == 100 {
				n++
			}
		}
		if err != nil || n != stable {
			t.Errorf("read %d of %d: %v", n, stable, err)
		}
	}
}
