// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"testing"
	"time"
)

// TestAgain has files fail to be applied again and again: they are tried ever
// less often, and at once when something changes.
func TestAgain(t *testing.T) {
	var g again
	now := time.Unix(1000, 0)
	if g.soon(now); g.due(now.Add(time.Hour)) {
		t.Error("what did not fail is tried again")
	}
	for n, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		if g.failed(now); g.due(now.Add(want*second-1)) || !g.due(now.Add(want*second)) {
			t.Errorf("attempt %d is not after %d s: at %s", n+2, want, g.at.Sub(now))
		}
	}
	if g.soon(now); !g.due(now) {
		t.Error("what changed does not count")
	}
}
