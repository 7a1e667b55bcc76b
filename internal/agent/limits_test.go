// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"testing"
	"time"
)

func TestLimits(t *testing.T) {
	var l limits
	o, other := Object{Kind: "rule", Text: "one"}, Object{Kind: "rule", Text: "two"}
	now := time.Unix(1000, 0)
	var waits []time.Duration
	for range 12 {
		waits = append(waits, l.healed(o, now))
	}
	for n, want := range []time.Duration{0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		if waits[n] != want*time.Second {
			t.Errorf("heal %d waits %s, want %ds", n+1, waits[n], want)
		}
	}
	if !l.holds(o, now.Add(299*time.Second)) || l.holds(o, now.Add(300*time.Second)) || l.holds(other, now) {
		t.Error("the wrong objects are held")
	}
	if got := l.held(now); len(got) != 1 || got[0] != "one" {
		t.Errorf("held are %v", got)
	}
	if l.due(now.Add(299*time.Second)) || !l.due(now.Add(300*time.Second)) || l.due(now.Add(301*time.Second)) {
		t.Error("it is not due once, when its time has come")
	}
	l.forget(now.Add(time.Hour))
	if wait := l.healed(o, now.Add(time.Hour)); wait != 0 {
		t.Errorf("after an hour it waits %s", wait)
	}
	l.failed(other, now)
	if !l.holds(other, now.Add(time.Second)) {
		t.Error("what failed is tried again at once")
	}
}
