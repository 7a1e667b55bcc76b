// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"path"
	"strings"

	"waymark/classes"
	"waymark/internal/match"
)

// instance is a path that a pattern names, as systemd would have it for a
// unit; "" for a pattern that names nothing.
func instance(c match.Cgroup) string {
	var names []string
	if c.Path != "" {
		for name := range strings.SplitSeq(c.Path, "/") {
			names = append(names, literal(name))
		}
	}
	if c.Unit == "" {
		return path.Join(names...)
	}
	switch {
	case strings.HasSuffix(c.Unit, ".slice"):
	case len(names) > 0:
		names = append(names, "app.slice") // of a user's manager
	default:
		names = []string{"system.slice"}
	}
	return path.Join(append(names, literal(c.Unit))...)
}

// literal is a name that a pattern is of.
func literal(pattern string) string {
	g, err := classes.ParseGlob(pattern)
	if err != nil {
		return pattern
	}
	var b strings.Builder
	for _, part := range g {
		if part.Any {
			continue
		}
		b.WriteByte(letter(part.Set))
	}
	if b.Len() == 0 || b.String() == "." || b.String() == ".." {
		b.WriteByte('x')
	}
	if name := b.String(); g.Match(name) {
		return name
	}
	return strings.ReplaceAll(pattern, "*", "x")
}

// letter is a byte of a set, one that people write if there is one.
func letter(set classes.ByteSet) byte {
	const common = "x0123456789abcdefghijklmnopqrstuvwyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.@:"
	for i := range len(common) {
		if set.Has(common[i]) {
			return common[i]
		}
	}
	for c := 1; c < 256; c++ {
		if set.Has(byte(c)) {
			return byte(c)
		}
	}
	return 'x'
}
