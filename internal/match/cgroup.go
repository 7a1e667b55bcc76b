// SPDX-License-Identifier: Apache-2.0

package match

import (
	"strings"

	"waymark/classes"
)

// Cgroup names cgroups, and with each all that lies below it: those at Path,
// or, with a Unit, those of that unit's name below Path and slices alone.
type Cgroup struct {
	Path string `json:"path,omitempty"` // below the cgroup root; each of its names is a classes.Glob; "" is the root
	Unit string `json:"unit,omitempty"` // a classes.Glob; "" for a path
}

// Path is the pattern of one path; the zero value of a Match's Cgroup is none.
func Path(path string) []Cgroup { return []Cgroup{{Path: path}} }

// sliceGlob is the name of what may lie above a unit.
const sliceGlob = "*.slice"

// holds tells whether the cgroup at a path is one that c names, or lies below
// one. It is the definition of what the automaton answers.
func (c Cgroup) holds(path string) bool {
	names := split(path)
	for _, want := range split(c.Path) {
		if len(names) == 0 || !glob(want).Match(names[0]) {
			return false
		}
		names = names[1:]
	}
	if c.Unit == "" {
		return c.Path != ""
	}
	for _, name := range names {
		if glob(c.Unit).Match(unescape(name)) {
			return true
		}
		if !strings.HasSuffix(name, ".slice") {
			return false
		}
	}
	return false
}

// glob reads a pattern that classes has found right; of another, no name is.
func glob(text string) classes.Glob {
	g, err := classes.ParseGlob(text)
	if err != nil {
		return classes.Glob{{}}
	}
	return g
}

// unescape undoes what systemd does to unit names that could be the kernel's
// own files in a cgroup (cg_escape): it puts an underscore before them.
func unescape(name string) string { return strings.TrimPrefix(name, "_") }

func split(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

func holdsAny(cgroups []Cgroup, path string) bool {
	for _, c := range cgroups {
		if c.holds(path) {
			return true
		}
	}
	return len(cgroups) == 0
}
