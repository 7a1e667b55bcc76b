// SPDX-License-Identifier: Apache-2.0

package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

var (
	times   = regexp.MustCompile(`\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d( UTC|Z)`)
	columns = regexp.MustCompile(`(\S)   +`)
)

// normal prints a text as it is on every machine and in every run: the time,
// the script's directory and the laboratory's cgroup root and namespace by
// their names. In a table whose columns moved by that, they are two blanks
// apart.
func (s *script) normal(ts *testscript.TestScript, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: normal FILE")
	}
	names := []string{s.work, "$WORK"}
	if s.lab != nil {
		names = append(names, s.pins(), "$PINS", s.lab.CgroupRoot(), "$CGROUP_ROOT",
			fmt.Sprint(s.lab.Host.Inode()), "$NETNS")
	}
	byName := strings.NewReplacer(names...)
	var out []string
	for _, table := range strings.Split(ts.ReadFile(args[0]), "\n\n") {
		named := byName.Replace(times.ReplaceAllString(table, "$$TIME"))
		if named != table {
			named = columns.ReplaceAllString(named, "$1  ")
		}
		out = append(out, named)
	}
	_, err := fmt.Fprint(ts.Stdout(), strings.Join(out, "\n\n"))
	return err
}

// shape prints every path in a JSON text with its type, once: what a program
// that reads it relies on.
func (s *script) shape(ts *testscript.TestScript, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: shape FILE")
	}
	var value any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &value); err != nil {
		return fmt.Errorf("%s is not JSON: %w", args[0], err)
	}
	paths := map[string]bool{}
	addPaths(paths, "", value)
	_, err := fmt.Fprintln(ts.Stdout(), strings.Join(slices.Sorted(maps.Keys(paths)), "\n"))
	return err
}

func addPaths(paths map[string]bool, path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, below := range v {
			addPaths(paths, path+"."+key, below)
		}
		if len(v) == 0 {
			paths[path+" {}"] = true
		}
	case []any:
		for _, below := range v {
			addPaths(paths, path+"[]", below)
		}
		if len(v) == 0 {
			paths[path+" []"] = true
		}
	case nil:
		paths[path+" null"] = true
	case string:
		paths[path+" string"] = true
	case float64:
		paths[path+" number"] = true
	case bool:
		paths[path+" bool"] = true
	}
}

// replaced changes a file of the script.
func (s *script) replaced(ts *testscript.TestScript, args []string) error {
	if len(args) != 3 {
		return errors.New("usage: replace OLD NEW FILE")
	}
	text := ts.ReadFile(args[2])
	if !strings.Contains(text, args[0]) {
		return fmt.Errorf("%s has no %q", args[2], args[0])
	}
	return os.WriteFile(ts.MkAbs(args[2]), []byte(strings.ReplaceAll(text, args[0], args[1])), 0o644)
}
