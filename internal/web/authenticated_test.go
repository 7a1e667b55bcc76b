// SPDX-License-Identifier: Apache-2.0

package web

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAuthor(t *testing.T) {
	by := func(name string) *tls.ConnectionState {
		return &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: name}}}}}
	}
	alice := &http.Request{Header: http.Header{"Authorization": {"Basic YWxpY2U6eA=="}}, TLS: by("laptop")}
	for want, r := range map[string]*http.Request{"alice": alice, "laptop": {TLS: by("laptop")}, "the page": {TLS: by("")}} {
		if got := author(r); got != want {
			t.Errorf("it is %q, want %q", got, want)
		}
	}
	if got := author(&http.Request{TLS: &tls.ConnectionState{}}); got != "the page" {
		t.Errorf("of nobody's it is %q", got)
	}
}

func TestAuthenticated(t *testing.T) {
	for text, want := range map[string][2]bool{ // authenticated, encrypted
		"":                                {false, false},
		"basic_auth_users: {}":            {false, false},
		"basic_auth_users: {alice: hash}": {true, false},
		"tls_server_config: {cert_file: c, key_file: k}":                                               {false, true},
		"tls_server_config: {cert_file: c, key_file: k, client_auth_type: RequestClientCert}":          {false, true},
		"tls_server_config: {cert_file: c, key_file: k, client_auth_type: RequireAndVerifyClientCert}": {true, true},
		"tls_server_config: {cert_file: c, key_file: k}\nbasic_auth_users: {alice: hash}":              {true, true},
		"basic_auth_users: [no list]": {false, false},
	} {
		file := filepath.Join(t.TempDir(), "web.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// By a connection that began under another configuration.
		if users := strings.Contains(text, "alice"); LetIn(file, &http.Request{}) != users || LetIn(file, &http.Request{TLS: &tls.ConnectionState{}}) != users {
			t.Errorf("%q: one who showed nothing is let in", text)
		}
		if !LetIn(file, &http.Request{TLS: &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{}}}}) {
			t.Errorf("%q: a certificate that was verified is none", text)
		}
		if got := [2]bool{Authenticated(file), Encrypted(file)}; got != want {
			t.Errorf("%q: authenticated, encrypted %v; want %v", text, got, want)
		}
	}
	if Authenticated("") || Authenticated("missing.yaml") || Encrypted("") {
		t.Error("no file lets nobody in")
	}
}
