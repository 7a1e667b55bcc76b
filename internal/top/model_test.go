// SPDX-License-Identifier: Apache-2.0

package top

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"waymark/internal/datapath"
	"waymark/loader"
)

func names(m *model) (all []string) {
	for _, r := range m.listing().rows {
		all = append(all, r.name)
	}
	return all
}

func TestSortAndFilter(t *testing.T) {
	m := seen(&site{}, 3)
	policy := names(m)
	for m.looks[m.view].sort != "BIT/S" {
		press(m, ">")
	}
	want := []string{"backup", "unclassed", "a-class-with-a-long-name", "voice"}
	if got := names(m); !slices.Equal(got, want) {
		t.Errorf("by BIT/S: %v", got)
	}
	fastest := names(m)[0]
	press(m, "r")
	if got := names(m); got[len(got)-1] != fastest {
		t.Errorf("reversed, %s is not the last: %v", fastest, got)
	}
	press(m, "r")
	for m.looks[m.view].sort != "" {
		press(m, "<")
	}
	if got := names(m); !slices.Equal(got, policy) {
		t.Errorf("in the policy's order: %v", got)
	}
	press(m, "/", "B", "A", "x", "backspace", "C", "enter", "j")
	if got := names(m); !slices.Equal(got, []string{"backup"}) {
		t.Errorf("filtered by BAC: %v", got)
	}
	golden(t, m, "filtered")
	press(m, "/", "z", "z")
	golden(t, m, "nothing")
	press(m, "esc")
	if got := names(m); !slices.Equal(got, policy) {
		t.Errorf("after Esc: %v", got)
	}
}

// A row stays selected wherever it goes, and the screen follows it.
func TestTheSelectedRowIsFollowed(t *testing.T) {
	x := &site{}
	for k := range 100 {
		x.names = append(x.names, strings.Repeat("x", k/10)+string(rune('a'+k%10)))
	}
	m := seen(x, 3)
	press(m, "end", "up")
	chosen := m.selected[m.view]
	if chosen != x.names[98] {
		t.Fatalf("End and Up chose %q", chosen)
	}
	press(m, ">", "r")
	if text := strings.Join(m.screen(), "\n"); !strings.Contains(text, selected.Render(pad(rowOf(m, chosen), m.width, true))) {
		t.Errorf("%s is not on the screen:\n%s", chosen, text)
	}
	press(m, "g")
	if m.at(m.listing().rows) != 0 {
		t.Error("g does not go to the first row")
	}
}

func rowOf(m *model, name string) string {
	rows := m.listing().rows
	return rows[slices.IndexFunc(rows, func(r row) bool { return r.name == name })].text
}

func TestEnterShowsTheClassByUplink(t *testing.T) {
	m := seen(&site{}, 2)
	press(m, "down", "enter")
	if got := names(m); m.view != pairView || !slices.Equal(got, []string{"backup\x00fiber", "backup\x00lte"}) {
		t.Errorf("view %d: %v", m.view, got)
	}
}

func TestPauseAndIntervals(t *testing.T) {
	m := seen(&site{}, 2)
	m.Init()
	old := ticked(m.ticks)
	if press(m, "space") != nil || !m.paused {
		t.Fatal("a pause begins with a reading")
	}
	if _, c := m.Update(old); c != nil {
		t.Error("a tick of before the pause is heeded")
	}
	golden(t, m, "paused")
	c := press(m, "space")
	if c == nil {
		t.Fatal("after a pause nothing is read")
	}
	if press(m, "space"); press(m, "space") != nil {
		t.Error("a second reading begins beside the first")
	}
	if _, c = m.Update(c()); c == nil {
		t.Error("after a reading there is no other")
	}
	press(m, "+", "+", "+", "+", "+")
	if m.Interval != shortest {
		t.Errorf("the shortest interval is %s", m.Interval)
	}
	for range 12 {
		press(m, "-")
	}
	if m.Interval != longest {
		t.Errorf("the longest interval is %s", m.Interval)
	}
}

func TestMove(t *testing.T) {
	m := seen(&site{}, 2)
	press(m, "down", "m")
	golden(t, m, "move-what")
	press(m, "enter", "down")
	golden(t, m, "move-where")
	press(m, "f", "f")
	m.Update(press(m, "enter")())
	golden(t, m, "move-confirm")
	if press(m, "x"); m.move == nil {
		t.Error("x is taken for an answer")
	}
	c := press(m, "y")
	if press(m, "esc"); m.move == nil {
		t.Error("Esc leaves a move that is being made")
	}
	_, c = m.Update(c())
	if c == nil || m.said != "moved class:backup to a-class-with-a-long-name" {
		t.Errorf("it ends with %q", m.said)
	}
}

func TestAMoveIsLeft(t *testing.T) {
	m := seen(&site{}, 2)
	m.Move = func(context.Context, loader.Order) (string, error) { t.Error("it moves"); return "", nil }
	for _, keys := range [][]string{{"m", "esc"}, {"m", "enter", "esc"}} {
		if press(m, keys...); m.move != nil {
			t.Errorf("%v: it is asked for still", keys)
		}
	}
	m.Update(press(m, "m", "enter", "enter")())
	if c := press(m, "n"); c != nil || m.move != nil {
		t.Error("n does not leave it")
	}
	// The rehearsal that comes when nobody asks for it any more.
	c := press(m, "m", "enter", "enter")
	press(m, "esc")
	if m.Update(c()); m.move != nil {
		t.Error("a late rehearsal asks again")
	}
	m.Rehearse = func(context.Context, loader.Order) (string, error) { return "", errors.New("no such unit") }
	m.Update(press(m, "m", "ctrl+u", "x", "enter", "enter")())
	golden(t, m, "move-error")
	if c := press(m, "y"); c != nil || m.move != nil {
		t.Error("what cannot be rehearsed is moved")
	}
}

func TestKeysQuit(t *testing.T) {
	for _, keys := range [][]string{{"q"}, {"ctrl+c"}, {"m", "ctrl+c"}, {"/", "ctrl+c"}, {"?", "ctrl+c"}} {
		c := press(seen(&site{}, 1), keys...)
		if c == nil {
			t.Errorf("%v does not quit", keys)
		} else if _, quits := c().(tea.QuitMsg); !quits {
			t.Errorf("%v does not quit", keys)
		}
	}
	m := seen(&site{}, 1)
	if press(m, "/", "q"); m.looks[m.view].filter != "q" {
		t.Error("q is no letter of a filter")
	}
}

func TestCountersThatBeginAnew(t *testing.T) {
	m := seen(&site{}, 5)
	m.take((&site{}).next())
	for _, c := range m.frame.Classes {
		if c.BitsPerSecond != 0 || len(c.Past) != 0 {
			t.Errorf("%s: %v bit/s after its counters began anew", c.Name, c.BitsPerSecond)
		}
	}
}

// TestAClassGoes has a class leave the policy: its uplink's numbers stay, and go on.
// When it comes back, with what it counted before, none of that is of this second.
func TestAClassGoes(t *testing.T) {
	x := &site{}
	m := seen(x, 5)
	whole := x.next()
	m.take(whole)
	before := m.frame.Uplinks[1]
	gone := x.next()
	gone.Uplinks[1].Gone = whole.Classes[1].Traffic[1].Tally
	gone.Uplinks[1].Gone.RTT = datapath.Histogram{}
	gone.Classes, gone.Lines = slices.Delete(gone.Classes, 1, 2), slices.Delete(gone.Lines, 1, 2)
	m.take(gone)
	if now := m.frame.Uplinks[1]; now.Packets != before.Packets+5000 || now.PacketsPerSecond != 5000 || len(now.Past) <= len(before.Past) || now.RTT != nil {
		t.Errorf("after %d packets, %v/s, there are %d, %v/s, round-trip times %v", before.Packets, before.PacketsPerSecond, now.Packets, now.PacketsPerSecond, now.RTT)
	}
	for k := range 11 {
		m.take(x.next())
		c, l := m.frame.Classes[1], m.frame.Matches[1]
		if known := k > 0; (c.PacketsPerSecond == 1000) != known || (c.BitsPerSecond > 0) != known || (l.HitsPerSecond == 100) != known {
			t.Errorf("%d s after it is back: %v packets/s, %v bit/s, %v hits/s", k, c.PacketsPerSecond, c.BitsPerSecond, l.HitsPerSecond)
		}
	}
	if rtt := m.frame.Classes[1].RTT; rtt == nil {
		t.Error("it has no round-trip times any more")
	}
}

// Rates and round-trip times are of the seconds that they say.
func TestFrame(t *testing.T) {
	m := seen(&site{}, 30)
	c := m.frame.Classes[1]
	if want := 8.0 * (1000*125 + 100000*(30*30*30-29*29*29)); c.BitsPerSecond != want {
		t.Errorf("%v bit/s, want %v", c.BitsPerSecond, want)
	}
	if m.frame.Seconds != 1 || m.frame.RTTOver != 10 || c.PacketsPerSecond != 1000 || c.Packets != 30000 || c.Failed != 60 {
		t.Errorf("%+v", c)
	}
	if c.RTT == nil || c.RTT.P50 < 0.009 || c.RTT.P50 > 0.011 || c.RTT.P99 < c.RTT.P95 {
		t.Errorf("round-trip times %+v, of values around 10 ms", c.RTT)
	}
	if m.frame.Classes[0].RTT != nil {
		t.Error("round-trip times of nothing")
	}
	if n := len(m.history.readings); n > 11 {
		t.Errorf("%d readings are kept", n)
	}
}

func TestUnits(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.25: "0.2", 7: "7", 999: "999", 999.6: "1.0k", 12345: "12.3k", 99960: "100k", 5e6: "5.0M", 2e18: "2.0E", 3e21: "3000E"} {
		if got := amount(v); got != want {
			t.Errorf("amount %v: %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{0.00008: "80µs", 0.0012: "1.2ms", 0.250: "250ms", 2.5: "2.5s", 120: "120s", 0.00099951: "1.0ms", 0.0999: "99.9ms"} {
		if got := duration(v); got != want {
			t.Errorf("duration %v: %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0%", 1: "100%", 0.004: "0.4%", 0.00042: "0.04%", 0.00096: "0.10%", 0.00000001: "0.01%", 0.5: "50%"} {
		if got := percent(v); got != want {
			t.Errorf("percent %v: %s, want %s", v, got, want)
		}
	}
	if got := sparkline([]float64{0, 1, 2, 4}, 6, asciiBars); got != "   -+#" {
		t.Errorf("sparkline %q", got)
	}
}
