// SPDX-License-Identifier: Apache-2.0

package top

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// key is what a key does.
type key struct {
	names []string // as tea says them
	shown string
	help  string
	press func(*model) tea.Cmd
}

var keys = []key{
	{[]string{"tab"}, "Tab", "next view", func(m *model) tea.Cmd { return m.show((m.view + 1) % views) }},
	{[]string{"shift+tab"}, "Shift-Tab", "view before", func(m *model) tea.Cmd { return m.show((m.view + views - 1) % views) }},
	{[]string{"1"}, "1 2 3 4", "one of the views", func(m *model) tea.Cmd { return m.show(classView) }},
	{[]string{"2"}, "", "", func(m *model) tea.Cmd { return m.show(pairView) }},
	{[]string{"3"}, "", "", func(m *model) tea.Cmd { return m.show(uplinkView) }},
	{[]string{"4"}, "", "", func(m *model) tea.Cmd { return m.show(matchView) }},
	{[]string{"up", "k"}, "Up k", "row above", func(m *model) tea.Cmd { return m.step(-1) }},
	{[]string{"down", "j"}, "Down j", "row below", func(m *model) tea.Cmd { return m.step(1) }},
	{[]string{"pgup"}, "PgUp", "a page up", func(m *model) tea.Cmd { return m.step(-m.room()) }},
	{[]string{"pgdown"}, "PgDn", "a page down", func(m *model) tea.Cmd { return m.step(m.room()) }},
	{[]string{"home", "g"}, "Home g", "first row", func(m *model) tea.Cmd { return m.step(-1 << 30) }},
	{[]string{"end", "G"}, "End G", "last row", func(m *model) tea.Cmd { return m.step(1 << 30) }},
	{[]string{">", "right"}, "> Right", "sort by the next column", func(m *model) tea.Cmd { return m.sortBy(1) }},
	{[]string{"<", "left"}, "< Left", "sort by the column before", func(m *model) tea.Cmd { return m.sortBy(-1) }},
	{[]string{"r"}, "r", "the other way round", func(m *model) tea.Cmd { m.looks[m.view].reverse = !m.looks[m.view].reverse; return nil }},
	{[]string{"/"}, "/", "rows that say ...; Esc: all", func(m *model) tea.Cmd { m.typing = true; return nil }},
	{[]string{"esc"}, "", "", func(m *model) tea.Cmd { m.looks[m.view].filter, m.said = "", ""; return nil }},
	{[]string{"enter"}, "Enter", "this class by uplink", (*model).open},
	{[]string{"m"}, "m", "move traffic to another class", (*model).beginMove},
	{[]string{"space", "p"}, "Space p", "pause", (*model).pause},
	{[]string{"+"}, "+ -", "more or less often", func(m *model) tea.Cmd { return m.faster(true) }},
	{[]string{"-"}, "", "", func(m *model) tea.Cmd { return m.faster(false) }},
	{[]string{"?", "h", "f1"}, "? h F1", "this", func(m *model) tea.Cmd { m.help, m.helpAt = true, 0; return nil }},
	{[]string{"ctrl+z"}, "Ctrl-Z", "suspend", func(*model) tea.Cmd { return tea.Suspend }},
	{[]string{"q", "f10"}, "q F10", "quit; so does Ctrl-C", func(*model) tea.Cmd { return tea.Quit }},
}

// press does what a key does now.
func (m *model) press(k tea.KeyPressMsg) tea.Cmd {
	switch name := k.String(); {
	case name == "ctrl+c":
		return tea.Quit
	case m.help:
		m.help = m.scroll(name)
	case m.move != nil:
		return m.pressInMove(k)
	case m.typing:
		m.typing = typeInto(&m.looks[m.view].filter, k)
		if name == "esc" {
			m.looks[m.view].filter = ""
		}
	default:
		if i := slices.IndexFunc(keys, func(x key) bool { return slices.Contains(x.names, name) }); i >= 0 {
			return keys[i].press(m)
		}
	}
	return nil
}

// scroll scrolls the help where it has more lines than there is room for, and
// says whether a key does that.
func (m *model) scroll(name string) bool {
	by, does := map[string]int{"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -m.room(), "pgdown": m.room()}[name]
	m.helpAt = max(0, min(m.helpAt+by, m.mostHelp()))
	return does && m.mostHelp() > 0
}

// typeInto changes a text by a key, and says whether it goes on.
func typeInto(text *string, k tea.KeyPressMsg) (more bool) {
	switch k.String() {
	case "enter", "esc":
		return false
	case "backspace":
		_, size := utf8.DecodeLastRuneInString(*text)
		*text = (*text)[:len(*text)-size]
	case "ctrl+u":
		*text = ""
	default:
		*text += k.Text
	}
	return true
}

func (m *model) pasted(text string) {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1 // the end of the line that was copied; what a terminal would obey
	}, text)
	switch {
	case m.move != nil && m.move.stage == naming:
		m.move.order.Subject += text
	case m.typing:
		m.looks[m.view].filter += text
	}
}

func (m *model) show(v view) tea.Cmd {
	m.view = v
	return nil
}

// at is the place of the selected row, or where it was when it is gone.
func (m *model) at(rows []row) int {
	if i := slices.IndexFunc(rows, func(r row) bool { return r.name == m.selected[m.view] }); i >= 0 {
		m.cursor = i
	}
	m.cursor = max(0, min(m.cursor, len(rows)-1))
	return m.cursor
}

func (m *model) step(by int) tea.Cmd {
	rows := m.listing().rows
	if len(rows) > 0 {
		m.cursor = max(0, min(m.at(rows)+by, len(rows)-1))
		m.selected[m.view] = rows[m.cursor].name
	}
	return nil
}

// sortBy takes the next column to sort by; after the last comes the order of
// the policy.
func (m *model) sortBy(by int) tea.Cmd {
	titles, l := append([]string{""}, m.listing().titles...), &m.looks[m.view]
	at := slices.Index(titles, l.sort)
	l.sort = titles[(at+by+len(titles))%len(titles)]
	return nil
}

// open shows the selected class by uplink.
func (m *model) open() tea.Cmd {
	rows := m.listing().rows
	if m.view == pairView || len(rows) == 0 {
		return nil
	}
	if class := rows[m.at(rows)].class; class != "" {
		m.view = pairView
		m.looks[pairView].filter = class
	}
	return nil
}
