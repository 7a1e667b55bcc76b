// SPDX-License-Identifier: Apache-2.0

package top

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"waymark/loader"
)

var update = flag.Bool("update", false, "write the golden files")

// seen is a top that has seen some seconds of the site.
func seen(x *site, seconds int) *model {
	m := newModel(context.Background(), Options{Read: func() (*loader.Sample, error) { return x.next(), nil }, Interval: time.Second,
		Rehearse: func(_ context.Context, o loader.Order) (string, error) {
			return "12 sockets: 12 moved\nnothing was changed: " + o.Subject + " would be in class " + o.To, nil
		},
		Move: func(_ context.Context, o loader.Order) (string, error) {
			return "rule add ...\nmoved " + o.Subject + " to " + o.To, nil
		}})
	for range seconds {
		m.take(x.next())
	}
	return m
}

// golden compares a screen with the one that is kept, and with its size.
func golden(t *testing.T, m *model, name string) {
	t.Helper()
	lines := m.screen()
	if len(lines) != m.height {
		t.Errorf("%s: %d lines on a terminal of %d", name, len(lines), m.height)
	}
	for i, l := range lines {
		if w := ansi.StringWidth(l); w > m.width {
			t.Errorf("%s: line %d is %d wide on a terminal of %d", name, i, w, m.width)
		}
		lines[i] = strings.TrimRight(ansi.Strip(l), " ")
	}
	got, file := strings.Join(lines, "\n")+"\n", filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func press(m *model, keys ...string) tea.Cmd {
	var c tea.Cmd
	for _, k := range keys {
		c = m.press(pressed(k))
	}
	return c
}

var named = map[string]rune{"tab": tea.KeyTab, "enter": tea.KeyEnter, "esc": tea.KeyEscape, "up": tea.KeyUp, "down": tea.KeyDown,
	"backspace": tea.KeyBackspace, "end": tea.KeyEnd}

func pressed(k string) tea.KeyPressMsg {
	if code, ok := named[k]; ok {
		return tea.KeyPressMsg{Code: code}
	}
	if c, ok := strings.CutPrefix(k, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: rune(c[0]), Mod: tea.ModCtrl}
	}
	if k == "space" {
		return tea.KeyPressMsg{Code: ' ', Text: " "}
	}
	return tea.KeyPressMsg{Code: rune(k[0]), Text: k}
}

func TestScreens(t *testing.T) {
	for _, size := range []struct {
		name          string
		width, height int
	}{{"80x24", 80, 24}, {"40x10", 40, 10}, {"200x50", 200, 50}, {"8x3", 8, 3}} {
		m := seen(&site{}, 12)
		m.Update(tea.WindowSizeMsg{Width: size.width, Height: size.height})
		for _, view := range []string{"classes", "pairs", "uplinks", "matches"} {
			golden(t, m, view+"-"+size.name)
			press(m, "tab")
		}
		press(m, "?")
		golden(t, m, "help-"+size.name)
	}
}

func TestOneSampleHasNoRates(t *testing.T) { golden(t, seen(&site{}, 1), "one") }

func TestAnUplinkThatIsDown(t *testing.T) {
	m := seen(&site{down: true}, 2)
	golden(t, m, "down")
	if text := strings.Join(m.screen(), ""); !strings.Contains(text, alarm.Render("lte DOWN")) {
		t.Error("a dead uplink is not in red")
	}
}

func TestWhatCannotBeReadIsSaid(t *testing.T) {
	m := seen(&site{}, 2)
	m.Update(sampled{nil, errors.New("nothing is applied")})
	golden(t, m, "error")
	m.Update(sampled{(&site{second: 2}).next(), nil})
	if m.err != nil {
		t.Error("it is said still, once it can be read")
	}
}
