// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os"
	"path/filepath"
	"strings"
)

// Connection is one of NetworkManager's that has a routing table of its own,
// or what all have that name none.
type Connection struct {
	Name   string // "" of what all have
	Family string // ipv4 or ipv6
	Table  string
	File   string
}

// ReadNetworkManager reads NetworkManager's settings and connections below a
// root directory, "" for the host's own. Those with a routing table are held
// to it; NetworkManager takes their other routes out of every table.
func ReadNetworkManager(root string) (found []Connection) {
	for _, pattern := range []string{
		"usr/lib/NetworkManager/conf.d/*.conf", "run/NetworkManager/conf.d/*.conf",
		"etc/NetworkManager/NetworkManager.conf", "etc/NetworkManager/conf.d/*.conf",
		"usr/lib/NetworkManager/system-connections/*", "run/NetworkManager/system-connections/*", "etc/NetworkManager/system-connections/*",
	} {
		files, _ := filepath.Glob(filepath.Join("/", root, pattern)) // whose only error is of the pattern
		for _, file := range files {
			if text, err := os.ReadFile(file); err == nil {
				found = append(found, connectionsIn(string(text), file)...)
			}
		}
	}
	return found
}

// connectionsIn reads a file of either kind: a connection says
// `[ipv4] route-table=100`, the settings `[connection] ipv4.route-table=100`.
func connectionsIn(text, file string) (found []Connection) {
	section, name, inSettings := "", "", strings.HasSuffix(file, ".conf")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]")
		}
		key, value, _ := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		of := section + "." + key
		if inSettings && strings.HasPrefix(section, "connection") {
			of = key
		}
		family, isTable := strings.CutSuffix(of, ".route-table")
		switch {
		case !inSettings && of == "connection.id":
			name = value
		case isTable && value != "0" && (family == "ipv4" || family == "ipv6") && (of == key) == inSettings:
			found = append(found, Connection{Family: family, Table: value, File: file})
		}
	}
	for i := range found {
		found[i].Name = name
	}
	return found
}
