// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"waymark/internal/agent"
	"waymark/loader"
)

func newRun(e env) *cobra.Command {
	s := source{env: e}
	c := &cobra.Command{
		Use:   "run [-f FILE]",
		Short: "Apply the policy and keep the kernel at it: the agent",
		Long: `Applies the policy, then follows the host and puts back what somebody takes
away. It applies the files again when they change and on SIGHUP; what is applied,
rolled back or moved by hand stays. Everything works on when it ends, however it
ends. It speaks systemd's Type=notify.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return s.onHost(func(l *loader.Loader) error {
				log := newLog(os.Stderr, os.Getenv("JOURNAL_STREAM"))
				watchdog, err := daemon.SdWatchdogEnabled(false)
				if err != nil {
					log.Warn("the service manager's watchdog is not served", "error", err)
				}
				reload, stop := hangups()
				defer stop()
				return agent.Run(c.Context(), agent.Options{Loader: l, Load: s.load, Paths: s.paths(), Reload: reload, Log: log, Watchdog: watchdog,
					Notify: func(lines string) {
						if _, err := daemon.SdNotify(false, lines); err != nil {
							log.Warn("the service manager cannot be told", "error", err)
						}
					}})
			})
		},
	}
	s.flags(c)
	return c
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
