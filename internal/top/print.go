// SPDX-License-Identifier: Apache-2.0

package top

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Print writes a frame as tables with all columns, as wide as they are.
func (f *Frame) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  rates of %.1f s, round-trip times of %.1f s, the rest since the first apply; state %d, applied %s\n",
		f.Time.Format("2006-01-02 15:04:05 MST"), f.Seconds, f.RTTOver, f.State, f.Applied.Format("2006-01-02 15:04:05 MST"))
	printTable(&b, f.Uplinks, uplinkColumns(nil))
	printTable(&b, f.Classes, classColumns(nil))
	printTable(&b, pairs(f.Classes), pairColumns(nil))
	printTable(&b, f.Matches, matchColumns(nil))
	for _, x := range f.NotKnown {
		fmt.Fprintf(&b, "\nnot counted: %s", x)
	}
	if len(f.NotKnown) > 0 {
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printTable leaves the sparklines out: one frame has no past.
func printTable[R any](b *strings.Builder, rows []R, columns []column[R]) {
	columns = slices.DeleteFunc(columns, func(c column[R]) bool { return c.title == pastTitle })
	columns = fit(columns, rows, 0)
	b.WriteString("\n" + strings.TrimRight(print(columns, func(c column[R]) string { return c.title }), " ") + "\n")
	for _, r := range rows {
		b.WriteString(strings.TrimRight(print(columns, func(c column[R]) string { return c.text(r) }), " ") + "\n")
	}
}
