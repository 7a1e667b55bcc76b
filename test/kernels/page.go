// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// pageFile says which kernel does what. Every cell is written by a run.
const pageFile = "test/kernels/KERNELS.md"

// A page is the table of mechanisms and kernels, a column for each report.
type page []*report

const pageHead = `# Which kernel does what

Written by ` + "`make test-kernels`" + `, which boots each kernel and tries each row on
it: "yes" was seen at work, "no" was refused by the kernel. Nothing here is
concluded from a version number, neither by this page nor by Waymark.

`

// text is the page; of its lines only those of cells have to stay the same
// from one point release to the next.
func (p page) text() string {
	var b strings.Builder
	b.WriteString(pageHead)
	for _, r := range p {
		fmt.Fprintf(&b, "- %s: Debian's %s (%s)\n", r.kernel.series, r.kernel.release, r.kernel.version)
	}
	b.WriteString("\n| |")
	for _, r := range p {
		fmt.Fprintf(&b, " %s |", r.kernel.series)
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", 1+len(p)) + "\n")
	for _, m := range mechanisms {
		fmt.Fprintf(&b, "| %s |", m)
		for _, r := range p {
			fmt.Fprintf(&b, " %s |", map[bool]string{true: "yes", false: "no"}[r.works[m]])
		}
		b.WriteString("\n")
	}
	return b.String()
}

// cells are the lines of a page that are no release's.
func cells(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "- ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// check compares the page with the one in a file. If a cell differs it
// writes the page there, and fails.
func (p page) check(file string) error {
	fresh := p.text()
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if strings.Join(cells(string(old)), "") == strings.Join(cells(fresh), "") {
		return nil
	}
	if err := os.WriteFile(file, []byte(fresh), 0o644); err != nil {
		return err
	}
	return fmt.Errorf("%s was not what the kernels do: it is written anew: look at the difference and commit it", file)
}
