// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"waymark/internal/probe"
)

// TestProbesThatNeverWere has an uplink be down since before its agent was there.
func TestProbesThatNeverWere(t *testing.T) {
	var b strings.Builder
	printProbes(&b, []probe.State{{Uplink: "ppp", Down: "its link is down"}})
	if want := "  uplink ppp leads nowhere: its link is down\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
