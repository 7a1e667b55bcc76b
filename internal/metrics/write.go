// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"waymark/internal/host"
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

// WriteFile writes what Write does into a file, whole or not at all: the textfile
// collector reads all *.prom.
func (e *Exporter) WriteFile(path string) error {
	text, err := e.append(nil, &e.written)
	if err != nil {
		return err
	}
	return host.Replace(path, text, 0o644)
}
