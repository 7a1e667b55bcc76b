// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"waymark/classes"
	"waymark/internal/host"
	"waymark/internal/plan"
)

// Below is the path of a cgroup from the cgroup root on, of one that may be named by
// its directory, too.
func (l *Loader) Below(text string) string {
	if below, is := strings.CutPrefix(text, l.root+"/"); is {
		return "/" + below
	}
	return text
}

// Subject is a move's subject as it is known from then on: a cgroup's path is the
// same with and without slashes around it. (One below the root keeps a slash: its
// name may be a class's.)
func (l *Loader) Subject(text string) string {
	text = l.Below(text)
	kind, _, _ := strings.Cut(text, ":")
	names := strings.Split(text, "/")
	if len(names) == 1 || slices.Contains(kinds, kind) || slices.Contains(names, "..") {
		return text
	}
	clean := strings.Trim(path.Clean("/"+text), "/")
	if !strings.Contains(clean, "/") {
		return "/" + clean
	}
	return clean
}

// Names are what a move of a subject may be known as, first as Subject has it: one of a
// class, or of a cgroup right below the root, is meant by the bare name, too.
func (l *Loader) Names(subject string) []string {
	subject = l.Subject(subject)
	return []string{subject, "class:" + subject, "/" + subject}
}

// kinds are what a subject that is no cgroup begins with.
var kinds = []string{"uid", "container", "pod", "class"}

// subject finds out what a move is of: "uid:USER", "class:NAME",
// "container:NAME", "container:{label: {KEY: VALUE}}", "pod:NAME", a class's bare name, a cgroup's path below the cgroup
// root, or a unit's name.
func (l *Loader) subject(state *State, policy *classes.Policy, text string) (o plan.Override, err error) {
	o.Subject = text
	kind, name, _ := strings.Cut(text, ":")
	isClass := func(name string) bool {
		return slices.ContainsFunc(policy.Classes, func(c classes.Class) bool { return c.Name == name })
	}
	switch {
	case kind == "uid":
		o.Match.UID, err = userNamed(name, state.Users)
	case kind == "container":
		o.Match.Container, err = l.moved(policy, name)
	case kind == "pod":
		o.Match.Container, err = l.pod(policy, name)
	case kind == "class" && !isClass(name):
		return o, fmt.Errorf("the applied policy has no class %q: `waymark status` lists them", name)
	case kind == "class":
		o.From = name
	case isClass(text):
		o.Subject, o.From = "class:"+text, text
	default:
		var path string
		path, err = l.cgroupNamed(text)
		o.Match.Cgroup = []string{classes.QuoteGlob(path)}
	}
	return o, err
}

// userNamed is a user who is known to the host, or was when the policy in force
// was applied.
func userNamed(text string, known map[string]uint32) ([]classes.User, error) {
	if _, ok := known[text]; ok {
		return []classes.User{{Name: text}}, nil
	}
	uid, err := User(text)
	if err != nil {
		return nil, err
	}
	if text[0] >= '0' && text[0] <= '9' {
		return []classes.User{{Lo: uid, Hi: uid}}, nil
	}
	return []classes.User{{Name: text}}, nil
}

// cgroupNamed is the path of a cgroup that is named by its path, or by the
// last part of it, as a unit is.
func (l *Loader) cgroupNamed(text string) (string, error) {
	clean := strings.Trim(path.Clean("/"+text), "/")
	if clean == "" || slices.Contains(strings.Split(text, "/"), "..") {
		return "", fmt.Errorf("%q is no cgroup: write a path from the cgroup root, such as system.slice/nginx.service", text)
	}
	if _, err := host.CgroupID(l.root, clean); !errors.Is(err, fs.ErrNotExist) {
		return clean, err
	}
	var found []string
	err := filepath.WalkDir(l.root, func(dir string, entry fs.DirEntry, err error) error {
		if err != nil && dir == l.root {
			return err
		}
		if below, _ := filepath.Rel(l.root, dir); err == nil && entry.IsDir() && path.Base(below) == clean {
			found = append(found, below)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("find %s: %w", clean, err)
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("no class, and no cgroup below %s, is %s: start the unit first, or name its cgroup in the policy", l.root, clean)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%d cgroups are named %s: name one by its path: %s", len(found), clean, strings.Join(found, ", "))
}
