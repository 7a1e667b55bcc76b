// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"waymark/internal/host"
	"waymark/internal/probe"
	"waymark/loader"
)

// TestProbesThatNeverWere has an uplink be down since before its agent was there.
func TestProbesThatNeverWere(t *testing.T) {
	var b strings.Builder
	printProbes(&b, []probe.State{{Uplink: "ppp", Down: "its link is down"}})
	if want := "  uplink ppp leads nowhere: its link is down\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

// TestOverdue has deadlines pass that nobody carried out.
func TestOverdue(t *testing.T) {
	for left, want := range map[time.Duration]string{
		time.Hour:             ", for another 1h0m0s",
		10 * time.Millisecond: ", for another 1s",
		-time.Second:          ", whose time is over: the agent, or the next command that changes something, takes it back",
	} {
		if got := timeLeft(loader.Override{Until: host.SinceBoot() + left}); got != want {
			t.Errorf("%s left: %q, want %q", left, got, want)
		}
	}
	if got := timeLeft(loader.Override{}); got != "" {
		t.Errorf("without an end: %q", got)
	}
	for in, want := range map[int]string{
		0: "was not confirmed in time: the agent, or the next command that changes something, goes back to state 3",
		9: "goes back in 9 s unless confirmed, to state 3: `waymark confirm` keeps it, `waymark rollback` goes back now",
	} {
		if got := goesBack(&loader.GoesBack{In: in, To: 3}); got != want {
			t.Errorf("in %d s: %q, want %q", in, got, want)
		}
	}
}
