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

const rowsHead = `
## What Waymark does there

The tests of package ` + "`test`" + ` that ran on each kernel and passed, in their
short form; [rows.go](rows.go) says of which only a part, for an emulated
kernel is slow. "Without 3" has left out what needs number 3 above; a dash was
not run.

`

// text is the page; of its lines only those of cells have to stay the same
// from one point release to the next.
func (p page) text() string {
	var b strings.Builder
	b.WriteString(pageHead)
	for _, r := range p {
		fmt.Fprintf(&b, "- %s: Debian's %s (%s)\n", r.kernel.series, r.kernel.release, r.kernel.version)
	}
	for _, r := range p {
		if r.refusal != "" {
			fmt.Fprintf(&b, "\nOn %s `waymark apply` ends with exit code 5 and says: %s.\n", r.kernel.series, r.refusal)
		}
	}
	b.WriteString("\n")
	p.table(&b, mechanisms, func(r *report, m string) string { return map[bool]string{true: "yes", false: "no"}[r.works[m]] },
		func(m string) string { return m })
	b.WriteString(rowsHead)
	p.table(&b, rows, (*report).row, func(row string) string {
		name, whole := testOf(row)
		return name + map[bool]string{false: ", in part"}[whole]
	})
	return b.String()
}

// table writes a line for each name, and in it a cell for each kernel.
func (p page) table(b *strings.Builder, all []string, cell func(*report, string) string, name func(string) string) {
	b.WriteString("| | |")
	for _, r := range p {
		fmt.Fprintf(b, " %s |", r.kernel.series)
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", 2+len(p)) + "\n")
	for n, line := range all {
		fmt.Fprintf(b, "| %d | %s |", n+1, name(line))
		for _, r := range p {
			fmt.Fprintf(b, " %s |", cell(r, line))
		}
		b.WriteString("\n")
	}
}

// row is what the page says of a test on a kernel.
func (r *report) row(row string) string {
	test, _ := testOf(row)
	lacking, ran := r.passed[test]
	if !ran {
		return "-"
	}
	var without []string
	for n, m := range mechanisms {
		if lacking[m] {
			without = append(without, fmt.Sprint(n+1))
		}
	}
	if without != nil {
		return "without " + strings.Join(without, ", ")
	}
	return "yes"
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
