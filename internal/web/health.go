// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"net/http"
)

// Health answers /-/healthy, which the process being there is enough for, and
// /-/ready, for which ready has to return nil; its error is the answer
// otherwise, with 503.
func Health(mux *http.ServeMux, ready func() error) {
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "healthy") })
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
}
