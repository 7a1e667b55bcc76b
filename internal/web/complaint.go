// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// complaint is a log for the toolkit, of which its errors alone are passed on:
// that the web configuration cannot be read now, which is so of every request.
type complaint struct {
	slog.Handler
	lock sync.Mutex
	last string
	said time.Time
}

// sayAgain is how long the same is not said again.
const sayAgain = 10 * time.Minute

// Enabled tells whether it is an error.
func (*complaint) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }

// Handle passes on what was not passed on lately.
func (c *complaint) Handle(ctx context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += a.String(); return true })
	c.lock.Lock()
	defer c.lock.Unlock()
	if text == c.last && time.Since(c.said) < sayAgain {
		return nil
	}
	c.last, c.said = text, time.Now()
	return c.Handler.Handle(ctx, r)
}
