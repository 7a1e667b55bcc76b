// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waymark/internal/top"
	"waymark/loader"
)

func newTop(e env) *cobra.Command {
	s := source{env: e}
	var o output
	var once bool
	interval := time.Second
	c := &cobra.Command{
		Use:   "top",
		Short: "Show what classes, uplinks and matches do, as it happens",
		Long: `Shows rates, round-trip times, misroutes and totals of every class, uplink and
match in the terminal, until q. ? shows the keys; m moves traffic to another class.
--once reads twice, --delay apart, and prints everything; so does a top whose
output or input is no terminal.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if interval < 100*time.Millisecond {
				return usage(c, fmt.Errorf("--delay %s: the shortest is 100ms", interval))
			}
			return s.onHost(func(l *loader.Loader) error {
				meter := l.Meter()
				defer meter.Close()
				options := s.topOptions(meter, interval)
				terminal := top.Terminal{In: os.Stdin, Out: os.Stdout, Environment: os.Environ()}
				if once || o.format == "json" || !terminal.Interactive() {
					return oneFrame(c.Context(), e, &o, options)
				}
				return top.Run(c.Context(), terminal, options)
			})
		},
	}
	c.Flags().BoolVar(&once, "once", false, "print one frame, and end")
	c.Flags().DurationVarP(&interval, "delay", "d", interval, "`TIME` between two readings")
	o.flag(c)
	return c
}

func (s *source) topOptions(meter *loader.Meter, interval time.Duration) top.Options {
	return top.Options{
		Read: func() (*loader.Sample, error) {
			sample, err := meter.Read()
			if errors.Is(err, fs.ErrNotExist) {
				err = errNothingApplied
			}
			return sample, err
		},
		Rehearse: s.topMove(&move{dryRun: true}, (*loader.Loader).Rehearse),
		Move:     s.topMove(&move{}, (*loader.Loader).Move),
		Interval: interval,
		ASCII:    !unicode(),
	}
}

// topMove is the verb move, with a loader of its own: the meter's is in use.
func (s *source) topMove(m *move, act func(*loader.Loader, loader.Order) (*loader.Moved, error)) top.Moving {
	return func(ctx context.Context, order loader.Order) (string, error) {
		l, err := loader.Open(loader.Options{CgroupRoot: s.cgroupRoot, Author: s.author, StateDir: s.stateDir, Done: ctx.Done()})
		if err != nil {
			return "", err
		}
		defer l.Close()
		moved, err := act(l, order)
		if err != nil {
			return "", err
		}
		var b strings.Builder
		err = m.print(&b, moved, "")
		return b.String(), err
	}
}

func oneFrame(ctx context.Context, e env, o *output, options top.Options) error {
	f, err := top.Once(ctx, options)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return err
	}
	return o.print(e.stdout, "Top", f, func(w io.Writer) error { return f.Print(w) })
}

// unicode says that the locale's characters are UTF-8, as setlocale(3) would.
func unicode() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := os.Getenv(name); value != "" {
			value = strings.ToLower(value)
			return strings.Contains(value, "utf-8") || strings.Contains(value, "utf8")
		}
	}
	return false
}
