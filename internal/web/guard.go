// SPDX-License-Identifier: Apache-2.0

package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// headers are on every answer: nothing that is not the page's own runs, is
// loaded, or frames it.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), geolocation=(), microphone=()",
	"Cache-Control":                "no-store",
}

// sealed has the headers on every answer.
func sealed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		next.ServeHTTP(w, r)
	})
}

// Named are those who may ask: for any Host who comes by LetIn, and everybody
// else by the host's addresses, localhost and the names. A stranger's page that
// a browser here has open can reach an address too: by a name of its own that it
// has turned to that address (DNS rebinding), which is a Host that this host does
// not go by; or across origins, which browsers say.
type Named struct {
	Names []string
	// LetIn tells whether a request comes for a password or a certificate: a
	// browser has none for a stranger's name.
	LetIn func(*http.Request) bool
}

// guard lets through who is named right.
func (n Named) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !n.answersTo(r) {
			http.Error(w, "nothing is served here as "+r.Host+": ask by the host's address, by localhost, or by the name in --listen", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// answersTo tells whether a Host is one that this host goes by.
func (n Named) answersTo(r *http.Request) bool {
	name, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		name = strings.Trim(r.Host, "[]")
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" {
		return true
	}
	return n.LetIn(r) || name != "" && slices.ContainsFunc(n.Names, func(known string) bool { return strings.EqualFold(known, name) })
}

// asked lets through what comes from the page, or from no page at all.
func asked(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !sameOrigin(r) {
			http.Error(w, "this is for the page's own requests, and another page has sent this one; a proxy in between has to pass on the Host that it was asked by", http.StatusForbidden)
			return
		}
		next(w, r)
	}
}

func sameOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" { // the browser's own word, which holds behind a proxy, too
		return site == "same-origin" || site == "none"
	}
	origin := r.Header.Get("Origin")
	return origin == "" || origin == "http://"+r.Host || origin == "https://"+r.Host
}
