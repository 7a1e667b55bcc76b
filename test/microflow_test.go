// SPDX-License-Identifier: Apache-2.0

package test

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/match"
)

// TestRememberedSearches has the same packet again and again while tables come into
// force, and are retracted: what was found in one is of no other.
func TestRememberedSearches(t *testing.T) {
	defer onOneCPU(t)()
	e := newEngine(t, 0xb7000000, 1)
	frame := ethernet(unix.ETH_P_IP, packet4(unix.IPPROTO_UDP, ports9(4)))
	lines := func(place int) []match.Match {
		all := make([]match.Match, 4) // of a port that nothing goes to, but for one
		for k := range all {
			all[k] = match.Match{Dport: exactly(1000)}
		}
		all[place].Dport = exactly(9)
		return all
	}
	is := func(when string, want uint32) {
		t.Helper()
		for range 3 {
			if _, mark := e.run(t, "ingress 1", frame, 0); mark != want {
				t.Errorf("%s: mark %#x, want %#x", when, mark, want)
			}
		}
	}
	marks := e.publish(t, lines(0), "")
	is("the first table", marks[0])
	for _, place := range []int{1, 2, 3} {
		e.putInForce(t, lines(place), "")
		is("another table", marks[place])
		if err := e.Retract(); err != nil {
			t.Fatal(err)
		}
		is("retracted", marks[0])
	}
	e.publish(t, lines(3), "")
	is("the last table", marks[3])
	e.publish(t, []match.Match{{Dst: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/32")}}}, "")
	is("no match", 0)
}
