// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// scrapeLog takes what goes wrong with scrapes, which is the same at every
// scrape, and says it now and then. That a client went away is its own
// affair.
type scrapeLog struct {
	log *slog.Logger

	lock sync.Mutex
	last string
	said time.Time
}

// sayAgain is how long the same is not said again.
const sayAgain = 10 * time.Minute

// Println is promhttp's way to complain.
func (l *scrapeLog) Println(words ...any) {
	for _, w := range words {
		if err, is := w.(error); is && (errors.Is(err, context.Canceled) || errors.Is(err, http.ErrHandlerTimeout)) {
			return
		}
	}
	text := strings.TrimSpace(fmt.Sprintln(words...))
	l.lock.Lock()
	defer l.lock.Unlock()
	if text == l.last && time.Since(l.said) < sayAgain {
		return
	}
	l.last, l.said = text, time.Now()
	l.log.Error(text)
}
