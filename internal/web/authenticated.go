// SPDX-License-Identifier: Apache-2.0

package web

import (
	"net/http"
	"os"
	"strings"

	"go.yaml.in/yaml/v2"
)

// configuration is what of a web configuration file the page has to know.
type configuration struct {
	Users map[string]string `yaml:"basic_auth_users"`
	TLS   struct {
		Certificate string `yaml:"cert_file"`
		Inline      string `yaml:"cert"`
		ClientAuth  string `yaml:"client_auth_type"`
	} `yaml:"tls_server_config"`
}

// configured is what a file says now; nothing, if it cannot be read: nobody
// is let in then.
func configured(config string) (c configuration) {
	if config == "" {
		return c
	}
	text, err := os.ReadFile(config)
	if err != nil || yaml.Unmarshal(text, &c) != nil {
		return configuration{}
	}
	return c
}

// LetIn tells whether who sent a request that is served had to show a password
// or a certificate for it. The file is read again for every request, and users
// that it has hold at once; a certificate is asked for as a connection begins, by
// one that was encrypted from the start: of that only the connection itself tells.
func LetIn(config string, r *http.Request) bool {
	return len(configured(config).Users) > 0 || r.TLS != nil && len(r.TLS.VerifiedChains) > 0
}

// author is who sent a request: the user, or whom the certificate is of.
func author(r *http.Request) string {
	if user, _, _ := r.BasicAuth(); user != "" {
		return user
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		if name := r.TLS.VerifiedChains[0][0].Subject.CommonName; name != "" {
			return name
		}
	}
	return "the page"
}

// Authenticated tells whether a web configuration file, as it is now, lets
// nobody in without a password or a certificate, from the start.
func Authenticated(config string) bool {
	c := configured(config)
	return len(c.Users) > 0 || strings.HasPrefix(c.TLS.ClientAuth, "RequireAndVerify")
}

// Encrypted tells whether it has a certificate, so that passwords do not
// cross the network for everyone to read.
func Encrypted(config string) bool {
	c := configured(config)
	return c.TLS.Certificate != "" || c.TLS.Inline != ""
}
