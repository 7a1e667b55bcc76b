// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"slices"
	"strings"
)

// coversCgroups reports whether e takes every cgroup that m takes. Of two
// patterns it knows only what can be told name by name, and of a unit or a
// container only what another one takes of it: it may miss that one takes the
// other.
func coversCgroups(e, m *Match) bool {
	if coverCgroup.count(e) == 0 {
		return true
	}
	for _, path := range m.Cgroup {
		if !slices.ContainsFunc(e.Cgroup, func(p string) bool { return coversPath(p, path) }) {
			return false
		}
	}
	for _, u := range m.Unit {
		if !slices.ContainsFunc(e.Unit, func(v Unit) bool { return v.user() == u.user() && coversName(v.Name, u.Name) }) {
			return false
		}
	}
	for _, c := range m.Container {
		if !slices.ContainsFunc(e.Container, func(k Container) bool { return k.covers(c) }) {
			return false
		}
	}
	return coverCgroup.count(m) > 0
}

// user is whose manager runs the unit, as text; "" for the system's.
func (u Unit) user() string {
	if u.User == nil {
		return ""
	}
	return u.User.String()
}

func coversPath(e, m string) bool {
	for {
		eName, eRest, eMore := strings.Cut(e, "/")
		mName, mRest, mMore := strings.Cut(m, "/")
		if !coversName(eName, mName) {
			return false
		}
		if !eMore || !mMore {
			return !eMore
		}
		e, m = eRest, mRest
	}
}

func coversName(e, m string) bool {
	if e == m || e == "*" {
		return true
	}
	if !IsGlob(e) || IsGlob(m) {
		return false
	}
	g, err := ParseGlob(e)
	return err == nil && g.Match(m)
}

// cgroupKey is what value i of a match's cgroups, units and containers is
// filed under: a path by its names up to the first pattern, a unit or a
// container by its name, if that is none. What covers it is filed under a key
// that eachKeyAbove gives.
func (m *Match) cgroupKey(i int) string {
	if i >= len(m.Cgroup)+len(m.Unit) {
		return nameKey("container", m.Container[i-len(m.Cgroup)-len(m.Unit)].Name)
	}
	if i >= len(m.Cgroup) {
		return nameKey("unit", m.Unit[i-len(m.Cgroup)].Name)
	}
	key := ""
	for name := range strings.SplitSeq(m.Cgroup[i], "/") {
		if IsGlob(name) {
			break
		}
		key += "/" + name
	}
	if key == "" {
		return "/"
	}
	return key
}

func nameKey(kind, name string) string {
	if name == "" || IsGlob(name) {
		return kind
	}
	return kind + "/" + name
}

func eachKeyAbove(key string, look func(string)) {
	for key != "" && key != "/" {
		look(key)
		key = key[:max(0, strings.LastIndexByte(key, '/'))]
	}
	look("/")
}
