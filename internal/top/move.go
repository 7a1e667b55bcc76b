// SPDX-License-Identifier: Apache-2.0

package top

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"waymark/classes"
	"waymark/loader"
)

// stage is how far a move has come.
type stage int

const (
	naming     stage = iota // of what it is
	choosing                // where to
	rehearsing              // what it would do
	confirming              // whether to
	doing
)

// move is a move that is being asked for.
type move struct {
	stage   stage
	order   loader.Order
	targets []string
	at      int    // in the targets
	text    string // what it would do
	err     error  // why it cannot be done
}

// fates are those of open sockets, in the order in which f goes through them.
var fates = []classes.Fate{"", classes.FateKeep, classes.FateMove, classes.FateReset}

// rehearsed and moved are what came of a move.
type (
	rehearsed outcome
	moved     outcome
	outcome   struct {
		of   *move
		text string
		err  error
	}
)

// beginMove asks for a move, of the selected row's class to begin with.
func (m *model) beginMove() tea.Cmd {
	m.move, m.said = &move{}, ""
	if rows := m.listing().rows; len(rows) > 0 {
		if class := rows[m.at(rows)].class; class != "" && class != loader.Unclassed {
			m.move.order.Subject = "class:" + class
		}
	}
	for _, c := range m.frame.Classes {
		m.move.targets = append(m.move.targets, c.Name)
	}
	return nil
}

func (m *model) pressInMove(k tea.KeyPressMsg) tea.Cmd {
	v := m.move
	if k.String() == "esc" && v.stage != doing {
		m.move = nil
		return nil
	}
	switch v.stage {
	case naming:
		if !typeInto(&v.order.Subject, k) && strings.TrimSpace(v.order.Subject) != "" {
			v.begin()
		}
	case choosing:
		return m.choose(k.String())
	case confirming:
		return m.confirm(k.String())
	}
	return nil
}

// begin has named the subject; its own class is no target.
func (v *move) begin() {
	v.order.Subject = strings.TrimSpace(v.order.Subject)
	v.targets = slices.DeleteFunc(v.targets, func(name string) bool { return "class:"+name == v.order.Subject || name == v.order.Subject })
	v.stage = choosing
}

func (m *model) choose(name string) tea.Cmd {
	v := m.move
	switch name {
	case "up", "k":
		v.at = max(0, v.at-1)
	case "down", "j":
		v.at = min(len(v.targets)-1, v.at+1)
	case "f":
		v.order.Existing = fates[(slices.Index(fates, v.order.Existing)+1)%len(fates)]
	case "enter":
		if len(v.targets) == 0 {
			return nil
		}
		v.order.To, v.stage = v.targets[v.at], rehearsing
		order := v.order
		return m.moves.through(func() tea.Msg {
			text, err := m.Rehearse(m.ctx, order)
			return rehearsed{v, text, err}
		})
	}
	return nil
}

func (m *model) rehearsed(r rehearsed) {
	if r.of == m.move {
		m.move.stage, m.move.text, m.move.err = confirming, r.text, r.err
	}
}

func (m *model) confirm(name string) tea.Cmd {
	v := m.move
	switch {
	case v.err != nil || name == "n":
		m.move = nil
	case name == "y":
		v.stage = doing
		order := v.order
		return m.moves.through(func() tea.Msg {
			text, err := m.Move(m.ctx, order)
			return moved{v, text, err}
		})
	}
	return nil
}

// moved shows what came of it, and the counters after it.
func (m *model) moved(r moved) tea.Cmd {
	m.move, m.said = nil, lastLine(r.text)
	if r.err != nil {
		m.said = r.err.Error()
	}
	return m.read()
}

// lastLine of what a move says is what became of it; before it are the
// kernel's changes.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
