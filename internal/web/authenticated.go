// SPDX-License-Identifier: Apache-2.0

package web

import (
	"os"
	"strings"

	"go.yaml.in/yaml/v2"
)

// Authenticated tells whether a web configuration file, as it is now, lets
// nobody in without a password or a certificate; the file is read again for
// every request that is served. A file that cannot be read lets nobody in.
func Authenticated(config string) bool {
	if config == "" {
		return false
	}
	text, err := os.ReadFile(config)
	if err != nil {
		return false
	}
	var c struct {
		Users map[string]string `yaml:"basic_auth_users"`
		TLS   struct {
			ClientAuth string `yaml:"client_auth_type"`
		} `yaml:"tls_server_config"`
	}
	if err := yaml.Unmarshal(text, &c); err != nil {
		return false
	}
	return len(c.Users) > 0 || strings.HasPrefix(c.TLS.ClientAuth, "RequireAndVerify")
}
