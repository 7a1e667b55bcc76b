// SPDX-License-Identifier: Apache-2.0

// Package top shows what is counted as it grows: in a terminal, as htop does,
// or as one frame for scripts.
package top

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"

	"waymark/loader"
)

// Options are what `top` works with.
type Options struct {
	Read     func() (*loader.Sample, error) // what is counted now; called from one goroutine at a time
	Rehearse Moving                         // says what would become of a move
	Move     Moving                         // says what became of it
	Interval time.Duration                  // between two readings
	ASCII    bool                           // the terminal has no Unicode
}

// Moving rehearses or makes a move, and says what came of it, in lines. It
// need not wait for others any more when ctx ends.
type Moving func(ctx context.Context, order loader.Order) (string, error)

// Terminal is where an interactive `top` runs.
type Terminal struct {
	In, Out     *os.File
	Environment []string // of the process that it belongs to: TERM, NO_COLOR
}

// Interactive says that there is a terminal to draw on and to read keys from.
func (t Terminal) Interactive() bool {
	return term.IsTerminal(t.In.Fd()) && term.IsTerminal(t.Out.Fd()) && !slices.Contains(t.Environment, "TERM=dumb")
}

// Run shows what is counted until the user quits or ctx ends, which are no
// errors, and gives the terminal back as it was. What cannot be read at the
// beginning is an error; later on it is shown, and tried again.
func Run(ctx context.Context, t Terminal, o Options) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	m := newModel(ctx, o)
	first, err := o.Read()
	if err != nil {
		return err
	}
	m.take(first)
	_, err = tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(t.In), tea.WithOutput(t.Out),
		tea.WithEnvironment(t.Environment), tea.WithoutSignalHandler()).Run()
	ended := ctx.Err() != nil
	leave()
	m.readings.close()
	m.moves.close()
	if errors.Is(err, tea.ErrProgramKilled) && ended {
		return nil
	}
	return err
}

// gate lets one through at a time, and none once it is closed: the terminal's
// library does not wait for what it began.
type gate struct {
	inside sync.Mutex
	closed bool
}

func (g *gate) through(do func() tea.Msg) tea.Cmd {
	return func() tea.Msg {
		g.inside.Lock()
		defer g.inside.Unlock()
		if g.closed {
			return nil
		}
		return do()
	}
}

// close waits for the one that is inside.
func (g *gate) close() {
	g.inside.Lock()
	defer g.inside.Unlock()
	g.closed = true
}

// Once reads twice, an interval apart, and returns the frame of it. An end of
// ctx in between is an error.
func Once(ctx context.Context, o Options) (*Frame, error) {
	h := history{}
	for k := range 2 {
		if k > 0 {
			select {
			case <-time.After(o.Interval):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		s, err := o.Read()
		if err != nil {
			return nil, err
		}
		h.take(s)
	}
	return h.frame(), nil
}
