// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"
)

// Bounds on one request. An answer that is a stream extends its own deadline
// with an http.ResponseController.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second // with the body
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	farewell      = 2 * time.Second // for answers that are under way when serving ends
)

// Options are what is served, and to whom.
type Options struct {
	Handler http.Handler
	// Who may ask at an address that is the host's own alone: what is there for
	// its own processes is not for the pages that its browsers have open.
	Named
	// Config is the path of a web configuration file of the Prometheus
	// exporters, with certificates, users and their passwords' bcrypt hashes;
	// "" for plain HTTP without passwords.
	Config string
	Log    *slog.Logger
}

// Check tells what is wrong with a web configuration file; "" is right.
func Check(config string) error {
	if err := toolkit.Validate(config); err != nil {
		return fmt.Errorf("read the web configuration %s: %w: https://prometheus.io/docs/prometheus/latest/configuration/https says what goes into it", config, err)
	}
	return nil
}

// Serve serves on a listener until ctx ends, which is no error, and closes it.
func Serve(ctx context.Context, l net.Listener, o Options) error {
	defer l.Close()
	if err := Check(o.Config); err != nil {
		return err
	}
	if o.Config == "" && !Private(l) {
		o.Log.Warn("whoever reaches this address can read what it serves: --web.config.file adds TLS and passwords", "address", l.Addr().String())
	}
	handler := o.Handler
	if a, isTCP := l.Addr().(*net.TCPAddr); isTCP && a.IP.IsLoopback() {
		handler = o.guard(handler)
	}
	server := &http.Server{Handler: sealed(handler), ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		ErrorLog:    slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return ctx }}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { shutDown(server); close(done) })
	defer func() {
		if !stop() {
			<-done
		}
	}()
	complaints := slog.New(&complaint{Handler: o.Log.With("file", o.Config).Handler()})
	if err := toolkit.Serve(l, server, &toolkit.FlagConfig{WebConfigFile: &o.Config}, complaints); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	}
	return nil
}

func shutDown(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		server.Close()
	}
}
