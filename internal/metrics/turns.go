// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"net/http"
	"time"
)

// turns are as many as may work at the same time.
type turns chan bool

// take waits for a turn, for as long as a scrape may take; it says to the client
// that there was none.
func (t turns) take(w http.ResponseWriter, r *http.Request) bool {
	late := time.NewTimer(scrapeTimeout)
	defer late.Stop()
	select {
	case t <- true:
		return true
	case <-r.Context().Done():
	case <-late.C:
		tooMany(w)
	}
	return false
}

func (t turns) give() { <-t }

func tooMany(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, "too many scrapes are running: try again later", http.StatusServiceUnavailable)
}
