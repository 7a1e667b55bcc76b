// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"waymark/internal/agent"
	"waymark/internal/web"
	"waymark/loader"
)

func newRun(e env) *cobra.Command {
	s := source{env: e}
	var o listening
	c := &cobra.Command{
		Use:   "run [-f FILE]",
		Short: "Apply the policy and keep the kernel at it: the agent",
		Long: `Applies the policy, then follows the host and puts back what somebody takes
away. It applies the files again when they change and on SIGHUP; what is applied,
rolled back or moved by hand stays. Everything works on when it ends, however it
ends. It speaks systemd's Type=notify. With --listen it serves what is counted, as
` + "`waymark metrics`" + ` does, and a page for people, which only shows unless
--allow-changes is given.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := s.readableAgain(); err != nil {
				return err
			}
			log := newLog(os.Stderr, os.Getenv("JOURNAL_STREAM"))
			watchdog, err := daemon.SdWatchdogEnabled(false)
			if err != nil {
				log.Warn("the service manager's watchdog is not served", "error", err)
			}
			if watchdog > 0 {
				s.alive = func() { _, _ = daemon.SdNotify(false, "WATCHDOG=1") }
			}
			return s.onHost(func(l *loader.Loader) error {
				stopServing, err := s.serveBeside(c.Context(), o, log)
				if err != nil {
					return err
				}
				defer stopServing()
				reload, stop := hangups()
				defer stop()
				return agent.Run(c.Context(), agent.Options{Loader: l, Load: s.loadAgain, Paths: s.paths(), Reload: reload, Log: log, Watchdog: watchdog,
					Notify: func(lines string) {
						if _, err := daemon.SdNotify(false, lines); err != nil {
							log.Warn("the service manager cannot be told", "error", err)
						}
					}})
			})
		},
	}
	s.flags(c)
	c.Flags().Lookup("file").Usage = strings.Replace(c.Flags().Lookup("file").Usage, orStdin, "", 1)
	o.flags(c, "")
	o.frontFlags(c)
	return c
}

// serveBeside serves what is counted, with a loader of its own, until ctx ends
// or it is stopped. The agent does not wait for it: at boot the address may not
// be there yet, and that it cannot go on is no reason to end.
func (s *source) serveBeside(ctx context.Context, o listening, log *slog.Logger) (stop func(), err error) {
	if o.address == "" && (o.config != "" || o.changes) {
		return nil, errors.New("--web.config.file and --allow-changes are for --listen: say where to listen")
	}
	if o.address == "" {
		return func() {}, nil
	}
	on, err := o.open()
	if err != nil && !web.NotYet(err) {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if on == nil {
			log.Error("not served yet", "error", err)
			on = o.openLater(ctx)
		}
		if on == nil {
			return
		}
		err := s.withPage(o, func(page http.Handler) error {
			return s.onHost(func(l *loader.Loader) error { return o.serve(ctx, on, l, page, log) })
		})
		if err != nil {
			log.Error("the metrics are not served any more", "error", err)
		}
	}()
	return func() { cancel(); <-done }, nil
}

// hangups has an element for every SIGHUP.
func hangups() (<-chan struct{}, func()) {
	signals, asked := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		for range signals {
			select {
			case asked <- struct{}{}:
			case <-done:
				return
			}
		}
	}()
	return asked, func() { signal.Stop(signals); close(done); close(signals) }
}
