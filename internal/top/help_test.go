// SPDX-License-Identifier: Apache-2.0

package top

import (
	"errors"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// TestHelpSaysWhatEveryColumnMeans holds the help against the columns, whole
// in half of the narrowest terminal that has two halves.
func TestHelpSaysWhatEveryColumnMeans(t *testing.T) {
	said := strings.Fields(strings.Join(columnsMean, " "))
	for v := range views {
		for _, title := range list(v, seen(&site{}, 2).frame, looks{bars: bars}).titles {
			known := slices.Contains(said, title) || slices.Contains([]string{"CLASS", "MATCH", "RTT95", "RTT99"}, title)
			if words := strings.Fields(title); !known && !slices.Contains(said, words[0]) {
				t.Errorf("nothing says what %s is", title)
			}
		}
	}
	for _, line := range helpLines(80) {
		if ansi.StringWidth(line) > 80 {
			t.Errorf("too wide for 80 columns: %q", line)
		}
	}
}

// TestHelpIsScrolled where a terminal is too small for it.
func TestHelpIsScrolled(t *testing.T) {
	m := seen(&site{}, 2)
	m.Update(tea.WindowSizeMsg{Width: 40, Height: 10})
	press(m, "?")
	last := columnsMean[len(columnsMean)-1]
	for range 100 {
		press(m, "j")
	}
	if text := strings.Join(m.screen(), "\n"); !m.help || !strings.Contains(text, last) {
		t.Errorf("at its end the help lacks %q:\n%s", last, text)
	}
	m.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	if text := strings.Join(m.screen(), "\n"); !strings.Contains(text, keys[0].help) || !strings.Contains(text, last) {
		t.Errorf("in a larger terminal it is not whole:\n%s", text)
	}
	if press(m, "j"); m.help {
		t.Error("where all is shown, a key does not go back")
	}
}

// TestAnASCIITerminalIsSentASCII draws what would have other characters.
func TestAnASCIITerminalIsSentASCII(t *testing.T) {
	m := seen(&site{}, 12)
	m.ASCII = true
	for v := range m.looks {
		m.looks[v].bars = asciiBars
	}
	for _, width := range []int{20, 40, 200} {
		m.Update(tea.WindowSizeMsg{Width: width, Height: 10})
		for range views {
			text := strings.Join(m.screen(), "\n")
			if i := strings.IndexFunc(text, func(r rune) bool { return r > 127 }); i >= 0 {
				t.Errorf("%d columns: %q", width, text[i:])
			}
			press(m, "tab")
		}
	}
}

// TestARefusalIsWhole in a terminal that is narrower than what it says.
func TestARefusalIsWhole(t *testing.T) {
	const refusal = "move x.service: no class, and no cgroup below /sys/fs/cgroup is called that: start it first"
	m := seen(&site{}, 2)
	m.Update(tea.WindowSizeMsg{Width: 40, Height: 24})
	m.move = &move{stage: confirming, err: errors.New(refusal)}
	if text := strings.Join(strings.Fields(ansi.Strip(strings.Join(m.screen(), " "))), " "); !strings.Contains(text, refusal) {
		t.Errorf("it says %q", text)
	}
}

// TestPastedLinesAreOne has what was copied keep nothing that the terminal
// would obey.
func TestPastedLinesAreOne(t *testing.T) {
	m := seen(&site{}, 2)
	press(m, "/")
	m.Update(tea.PasteMsg{Content: "\x1b[2Jback\nup\r\n"})
	if got, want := m.looks[m.view].filter, "[2Jbackup"; got != want {
		t.Errorf("pasted as %q, want %q", got, want)
	}
}
