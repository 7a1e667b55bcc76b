// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"waymark/internal/agent"
	"waymark/internal/metrics"
	"waymark/internal/web"
	"waymark/loader"
)

// listening is where a verb serves what is counted, and how.
type listening struct {
	address string // "": nowhere
	config  string
	changes bool // the page may move traffic
}

func (o *listening) flags(c *cobra.Command, standard string) {
	c.Flags().StringVar(&o.address, "listen", standard, "`ADDRESS` to serve metrics on: HOST:PORT, as "+web.DefaultAddress+", or unix:/PATH")
	c.Flags().StringVar(&o.config, "web.config.file", "", "`FILE` with TLS certificates and users, as the Prometheus exporters take it")
}

// frontFlags are those of what serves the page too.
func (o *listening) frontFlags(c *cobra.Command) {
	c.Flags().Lookup("listen").Usage = "`ADDRESS` to serve metrics and the page on: HOST:PORT, as " + web.DefaultAddress + ", or unix:/PATH"
	c.Flags().BoolVar(&o.changes, "allow-changes", false, "let the page move traffic, too; needs --web.config.file with users")
}

// open listens before anything is served, so that a wrong address is an
// error of the command line.
func (o *listening) open() (net.Listener, error) {
	if err := web.Check(o.config); err != nil {
		return nil, err
	}
	if o.changes && !web.Authenticated(o.config) {
		return nil, errors.New("--allow-changes lets whoever reaches the page move traffic, so it needs passwords: name a --web.config.file that has basic_auth_users")
	}
	return web.Listen(o.address)
}

// openAgain is how often openLater tries.
const openAgain = 2 * time.Second

// openLater opens when that has become possible; nil when ctx ended before.
func (o *listening) openLater(ctx context.Context) net.Listener {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(openAgain):
		}
		if on, err := o.open(); err == nil {
			return on
		}
	}
}

// serve serves until ctx ends: at the root front, or if it is nil the way to
// the metrics. The front is the agent's, which has to be there then.
func (o *listening) serve(ctx context.Context, on net.Listener, l *loader.Loader, front http.Handler, log *slog.Logger) error {
	exporter, closeMeter := newExporter(l)
	defer closeMeter()
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", exporter.Handler(log, !web.Private(on)))
	what := "metrics"
	if front != nil {
		what = "metrics and the page"
		mux.Handle("/", front)
	} else {
		mux.Handle("GET /{$}", http.RedirectHandler("/metrics", http.StatusFound))
	}
	web.Health(mux, func() error {
		if record, err := agent.Read(l.Netns()); front != nil && (err != nil || record == nil) {
			return errors.Join(errors.New("the agent has not begun"), err)
		}
		return exporter.Ready()
	})
	if web.Authenticated(o.config) && !web.Encrypted(o.config) && !web.Private(on) {
		log.Warn("passwords cross the network for everyone to read: tls_server_config in --web.config.file encrypts them", "address", on.Addr().String())
	}
	log.Info("serving "+what, "address", on.Addr().String())
	return web.Serve(ctx, on, web.Options{Handler: mux, Named: o.named(), Config: o.config, Log: log})
}

// newExporter makes an exporter of a loader that nobody else uses.
func newExporter(l *loader.Loader) (*metrics.Exporter, func()) {
	meter := l.Meter()
	return metrics.New(metrics.Source{Version: version(), Read: meter.Read, Agent: func() (*metrics.Agent, error) {
		r, err := agent.Read(l.Netns())
		if r == nil {
			return nil, err
		}
		return &metrics.Agent{Since: r.Since, Heals: r.Heals, Problems: len(r.Problems), Probes: r.Probes}, err
	}}), meter.Close
}
