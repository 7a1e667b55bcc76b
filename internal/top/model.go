// SPDX-License-Identifier: Apache-2.0

package top

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"waymark/loader"
)

// model is an interactive top.
type model struct {
	Options
	ctx     context.Context // ends when the user leaves
	history history
	frame   *Frame
	err     error  // of the last reading
	said    string // what became of the last move

	view     view
	looks    [views]looks
	selected [views]string // name of a row; "": the first
	typing   bool          // the filter
	paused   bool
	help     bool
	helpAt   int   // its first line that is shown
	move     *move // that is being asked for; nil: none
	cursor   int   // row of the selected one, as it was last shown

	width, height int
	reading       bool
	ticks         int // what comes of earlier ones is too late
	readings      gate
	moves         gate
}

// sampled is a reading that came.
type sampled struct {
	sample *loader.Sample
	err    error
}

// ticked says that it is time for a reading.
type ticked int

func newModel(ctx context.Context, o Options) *model {
	m := &model{Options: o, ctx: ctx, width: 80, height: 24}
	for v := range m.looks {
		m.looks[v].bars = bars
		if o.ASCII {
			m.looks[v].bars = asciiBars
		}
	}
	return m
}

// Init is tea.Model's.
func (m *model) Init() tea.Cmd { return m.tick() }

// Update is tea.Model's.
func (m *model) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = message.Width, message.Height
		m.helpAt = min(m.helpAt, m.mostHelp())
	case ticked:
		if int(message) == m.ticks {
			return m, m.read()
		}
	case sampled:
		return m, m.sampled(message)
	case rehearsed:
		m.rehearsed(message)
	case moved:
		return m, m.moved(message)
	case tea.PasteMsg:
		m.pasted(message.Content)
	case tea.KeyPressMsg:
		return m, m.press(message)
	}
	return m, nil
}

func (m *model) take(s *loader.Sample) {
	m.history.take(s)
	m.frame = m.history.frame()
}

func (m *model) sampled(s sampled) tea.Cmd {
	m.reading, m.err = false, s.err
	if s.err == nil {
		m.take(s.sample)
	}
	if m.paused {
		return nil
	}
	return m.tick()
}

// tick waits for the next reading, and for no other.
func (m *model) tick() tea.Cmd {
	m.ticks++
	now := ticked(m.ticks)
	return tea.Tick(m.Interval, func(time.Time) tea.Msg { return now })
}

func (m *model) read() tea.Cmd {
	if m.reading {
		return nil
	}
	m.reading = true
	return m.readings.through(func() tea.Msg {
		s, err := m.Read()
		return sampled{s, err}
	})
}

// pause stops the readings, or takes one and goes on.
func (m *model) pause() tea.Cmd {
	m.paused = !m.paused
	m.ticks++
	if m.paused {
		return nil
	}
	return m.read()
}

const (
	shortest = 100 * time.Millisecond
	longest  = time.Minute
)

// faster halves the interval, or doubles it.
func (m *model) faster(yes bool) tea.Cmd {
	if yes {
		m.Interval = max(shortest, m.Interval/2)
	} else {
		m.Interval = min(longest, m.Interval*2)
	}
	if m.paused || m.reading {
		return nil
	}
	return m.tick()
}

// listing is what the view shows now.
func (m *model) listing() listing {
	l := m.looks[m.view]
	l.width = m.width
	return list(m.view, m.frame, l)
}
