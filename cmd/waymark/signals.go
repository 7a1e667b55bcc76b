// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
)

// signals are those that ask this process to end. It does so by itself, when what
// it does is whole, or, while that changes nothing, at once.
type signals struct {
	sync.Mutex
	atOnce   bool
	heard    syscall.Signal // 0: none was
	unheeded []os.Signal    // as env has them
	channel  chan os.Signal // those that are listened to
}

// heed listens to them, and ends the context with the first.
func heed(unheeded []os.Signal) (context.Context, *signals) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &signals{unheeded: unheeded, channel: make(chan os.Signal, 1)}
	signal.Notify(s.channel, os.Interrupt, syscall.SIGTERM)
	go func() {
		for heard := range s.channel {
			s.Lock()
			s.heard, _ = heard.(syscall.Signal)
			s.end()
			s.Unlock()
			cancel()
		}
	}()
	return ctx, s
}

// end ends the process by the signal that was heard, if it may. To one that it was
// started to ignore, as a shell does in the background, it does not listen itself.
func (s *signals) end() {
	switch {
	case !s.atOnce || s.heard == 0:
	case slices.Contains(s.unheeded, os.Signal(s.heard)):
		os.Exit(128 + int(s.heard))
	default:
		signal.Reset(s.heard)
		_ = syscall.Kill(os.Getpid(), s.heard)
	}
}

// endAtOnce says whether the process may end at any moment, and returns whether it
// could before.
func (s *signals) endAtOnce(may bool) (before bool) {
	if s == nil {
		return false // it is not this process's to end
	}
	s.Lock()
	defer s.Unlock()
	before, s.atOnce = s.atOnce, may
	s.end()
	return before
}

// changes is a verb that changes something: it does so whole or not at all, too, when
// its terminal goes, which may be by what it changes.
func (e env) changes(c *cobra.Command) *cobra.Command {
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if e.signals != nil && !slices.Contains(e.unheeded, os.Signal(syscall.SIGHUP)) {
			signal.Notify(e.signals.channel, syscall.SIGHUP)
		}
		return run(c, args)
	}
	return c
}

// reads is a verb that changes nothing, until it says otherwise.
func (e env) reads(c *cobra.Command) *cobra.Command {
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		e.signals.endAtOnce(true)
		return run(c, args)
	}
	return c
}
