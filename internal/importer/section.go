// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"slices"
	"strings"
)

// section is one of a file of systemd-networkd (systemd.network(5)).
type section struct {
	name string
	keys map[string][]string
}

// repeated are the sections of which each is a thing of its own; what stands in
// another, or in drop-ins, of one name is one section.
var repeated = []string{"Address", "Route", "RoutingPolicyRule"}

// sections are those of a file. A line that ends with a backslash goes on in the
// next, and a key without a value forgets those before it.
func sections(text string) (all []section) {
	at := -1 // the section of the line
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		key, value, isKey := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "#"), strings.HasPrefix(line, ";"):
		case strings.HasPrefix(line, "["):
			name := strings.Trim(line, "[]")
			at = slices.IndexFunc(all, func(s section) bool { return s.name == name && !slices.Contains(repeated, name) })
			if at < 0 {
				at, all = len(all), append(all, section{name, map[string][]string{}})
			}
		case isKey && at >= 0:
			keys := all[at].keys
			key, value = strings.TrimSpace(key), strings.TrimSpace(value)
			if keys[key] = append(keys[key], value); value == "" {
				delete(keys, key)
			}
		}
	}
	return all
}

func (s section) value(key string) string {
	if v := s.keys[key]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

func (s section) or(key, standard string) string {
	if v := s.value(key); v != "" {
		return v
	}
	return standard
}
