// SPDX-License-Identifier: Apache-2.0

package top

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// What is styled says the same without: marks in words, the selection by a
// sign, so that a terminal without colours shows everything.
var (
	strong   = lipgloss.NewStyle().Bold(true)
	header   = lipgloss.NewStyle().Reverse(true)
	selected = lipgloss.NewStyle().Bold(true).Reverse(true)
	alarm    = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Red)
	faint    = lipgloss.NewStyle().Faint(true)
)

// above and below are the lines around the rows.
const (
	above = 4
	below = 1
)

// room is how many rows there is room for.
func (m *model) room() int { return max(1, m.height-above-below) }

// View is tea.Model's.
func (m *model) View() tea.View {
	v := tea.NewView(strings.Join(m.screen(), "\n"))
	v.AltScreen, v.WindowTitle = true, "waymark top"
	return v
}

// screen is as many lines as the terminal has, none wider than it.
func (m *model) screen() []string {
	lines := []string{m.title(), m.uplinks(), m.tabs()}
	switch {
	case m.help:
		lines = append(lines, helpLines(m.width)[m.helpAt:]...)
	case m.move != nil:
		lines = append(lines, m.move.lines(m.room(), m.width)...)
	default:
		lines = append(lines, m.rows()...)
	}
	lines = append(lines, make([]string, m.height)...)[:max(0, m.height-below)]
	lines = append(lines, m.foot())
	for i, l := range lines {
		lines[i] = ansi.Truncate(l, m.width, "…")
		if m.ASCII {
			lines[i] = inASCII.Replace(lines[i])
		}
	}
	return lines
}

// inASCII has what is written here beyond the policy's own names; the bars have theirs.
var inASCII = strings.NewReplacer("…", "~", "µ", "u")

func (m *model) title() string {
	f := m.frame
	title := fmt.Sprintf("%s %s  every %s", strong.Render("waymark top"), f.Time.Format("15:04:05"), m.Interval)
	if m.paused {
		title += "  " + alarm.Render("paused")
	}
	return title + fmt.Sprintf("  state %d, applied %s", f.State, f.Applied.In(f.Time.Location()).Format("2006-01-02 15:04:05"))
}

// uplinks is one line of what each uplink does.
func (m *model) uplinks() string {
	var parts []string
	for _, u := range m.frame.Uplinks {
		part := fmt.Sprintf("%s %sbit/s", u.Name, amount(u.BitsPerSecond))
		if !u.Up {
			part = alarm.Render(u.Name + " DOWN")
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " | ")
}

func (m *model) tabs() string {
	var parts []string
	for v, name := range viewNames {
		text := fmt.Sprintf(" %d %s ", v+1, name)
		if view(v) == m.view {
			text = strong.Render("[" + text[1:len(text)-1] + "]")
		}
		parts = append(parts, text)
	}
	l := m.looks[m.view]
	if m.width < 60 {
		parts = []string{parts[m.view]}
	}
	if l.sort != "" {
		parts = append(parts, " by "+l.sort)
	}
	if l.reverse {
		parts = append(parts, " reversed")
	}
	if m.typing || l.filter != "" {
		parts = append(parts, " /"+l.filter)
	}
	return strings.Join(parts, "")
}

func (m *model) rows() []string {
	l := m.listing()
	lines := []string{header.Render(pad(l.header, m.width, true))}
	at := m.at(l.rows)
	first := max(0, min(at-m.room()/2, len(l.rows)-m.room()))
	for i := first; i < min(len(l.rows), first+m.room()); i++ {
		text := pad(l.rows[i].text, m.width, true)
		switch {
		case i == at:
			text = selected.Render(text)
		case l.rows[i].bad:
			text = alarm.Render(text)
		}
		lines = append(lines, text)
	}
	if len(l.rows) == 0 {
		lines = append(lines, "no row says "+m.looks[m.view].filter+": Esc shows all")
	}
	return lines
}

func (m *model) foot() string {
	switch {
	case m.err != nil:
		return alarm.Render("not read since: " + m.err.Error())
	case m.typing:
		return "type what rows must say; Enter keeps it, Esc takes it away"
	case m.move != nil:
		return m.move.foot()
	case m.help && m.mostHelp() > 0:
		return "Up Down: more; any other key goes back"
	case m.help:
		return "any key goes back"
	case m.said != "":
		return m.said
	}
	return faint.Render("Tab view  < > sort  / filter  m move  Space pause  ? help  q quit")
}

// helpLines are the keys, and what the columns mean, in two columns where
// there is room.
func helpLines(width int) (lines []string) {
	for _, k := range keys {
		if k.shown != "" {
			lines = append(lines, fmt.Sprintf("%-10s%s", k.shown, k.help))
		}
	}
	if width < 80 {
		return append(lines, columnsMean...)
	}
	for i := range lines {
		if i < len(columnsMean) {
			lines[i] = pad(lines[i], 40, true) + columnsMean[i]
		}
	}
	return lines
}

// columnsMean is what the columns of all views mean, each line in half a
// terminal.
var columnsMean = []string{
	"UPLINK         new flows leave by it",
	"LINK           interface, its state",
	"OPEN           flows, now",
	"BIT/S PKT/S    sent a second, on wire",
	"HISTORY        of BIT/S, or HITS/S",
	"IN B/S         bits received a second",
	"BYTES PACKETS  sent since first apply",
	"RTT50 95 99    percentiles of last 10 s",
	"RETR           of segments, sent again",
	"CONNS          opened and accepted, ever",
	"FAILED         connects that failed",
	"MISRT          left elsewhere, ever",
	"REPAIR DROP    of MISRT: mended; stopped",
	"BEFORE LATE FOREIGN PINNED NOROUTE",
	"               MISRT by cause",
	"HITS/S HITS    times the match won",
	"WHERE          its line in the policy",
}

// mostHelp is how many lines of the help there is no room for.
func (m *model) mostHelp() int {
	const around = 3 + below
	return max(0, len(helpLines(m.width))-max(1, m.height-around))
}

func (v *move) lines(room, width int) []string {
	switch v.stage {
	case naming:
		return []string{"", "move what? a class (class:bulk), unit, cgroup, uid:USER or container:NAME", "", "  " + v.order.Subject + "_"}
	case choosing:
		lines := []string{"", "move " + v.order.Subject + " to which class?", ""}
		first := max(0, v.at-max(1, room-4)+1)
		for i := first; i < len(v.targets); i++ {
			sign := "   "
			if i == v.at {
				sign = " > "
			}
			lines = append(lines, sign+v.targets[i])
		}
		return lines
	case rehearsing:
		return []string{"", "move " + v.order.Subject + " to " + v.order.To, "", "looking what it would do ..."}
	case doing:
		return []string{"", "moving " + v.order.Subject + " to " + v.order.To + " ..."}
	}
	lines := []string{"", strong.Render("move " + v.order.Subject + " to " + v.order.To + "?")}
	if v.err != nil {
		for _, l := range wrapped(v.err.Error(), width) {
			lines = append(lines, alarm.Render(l))
		}
		return lines
	}
	return append(lines, wrapped(v.text, width)...)
}

// wrapped are the lines of a text, as long as the terminal is wide: what is to be
// done about an error stands at its end.
func wrapped(text string, width int) []string {
	return append([]string{""}, strings.Split(ansi.Wrap(strings.TrimSpace(text), max(1, width), ""), "\n")...)
}

func (v *move) foot() string {
	switch {
	case v.stage == naming:
		return "Enter goes on, Ctrl-U empties, Esc leaves it"
	case v.stage == choosing:
		fate := string(v.order.Existing)
		if fate == "" {
			fate = "as the class says"
		}
		return "Up Down, Enter; f: open sockets (" + fate + "); Esc leaves it"
	case v.stage == confirming && v.err == nil:
		return "y moves it, n leaves it"
	case v.stage == confirming:
		return "any key goes back"
	}
	return ""
}
