// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// Label puts a label on everything that Write and WriteFile write, NAME=VALUE: of
// two network namespaces the series are the same without.
func (e *Exporter) Label(label string) error {
	name, value, is := strings.Cut(label, "=")
	switch {
	case !is || !labelName.MatchString(name) || strings.HasPrefix(name, "__") || !utf8.ValidString(value):
		return fmt.Errorf("add the label %q: it is none: write NAME=VALUE, as netns=lan", label)
	case name == "le" || slices.Contains(e.labels, name) || slices.ContainsFunc(e.families, func(f Family) bool { return slices.Contains(f.Labels, name) }):
		return fmt.Errorf("add the label %q: there is one of that name already: name it otherwise", label)
	}
	if e.labels = append(e.labels, name); e.written.labels != "" {
		e.written.labels += ","
	}
	e.written.labels += string(labelText([]string{name}, []string{value}))
	return nil
}

// Write writes everything once, in the text format.
func (e *Exporter) Write(w io.Writer) error {
	text, err := e.append(nil, &e.written)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// WriteFile writes what Write does into a file, whole or not at all. What is
// there and no file, such as /dev/stdout, is not replaced by one.
func (e *Exporter) WriteFile(path string) error {
	if there, err := os.Lstat(path); err == nil && !there.Mode().IsRegular() {
		return fmt.Errorf("write the metrics: %s is no file: name another, or print them with --once", path)
	}
	// No *.prom: the textfile collector reads all of those. And no name that is
	// known before: the directory may be somebody's who would have root write
	// elsewhere by it, and two may write at once.
	fresh, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new")
	if err != nil {
		return fmt.Errorf("write the metrics: %w", err)
	}
	if err = errors.Join(e.Write(fresh), fresh.Chmod(0o644), fresh.Close()); err == nil {
		err = os.Rename(fresh.Name(), path)
	}
	if err != nil {
		_ = os.Remove(fresh.Name())
		return fmt.Errorf("write the metrics: %w", err)
	}
	return nil
}
