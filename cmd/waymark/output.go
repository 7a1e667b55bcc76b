// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// output is how a verb prints: for people, or as JSON.
type output struct {
	format string
}

// flag gives a verb the flag, and refuses a format that does not exist
// before the verb does anything.
func (o *output) flag(c *cobra.Command) {
	c.PreRunE = func(c *cobra.Command, _ []string) error { return o.check(c) }
	c.Flags().StringVarP(&o.format, "output", "o", "text", "`FORMAT` to print in: text or json")
}

func (o *output) check(c *cobra.Command) error {
	if o.format != "text" && o.format != "json" {
		return usage(c, fmt.Errorf("there is no output format %q: use text or json", o.format))
	}
	return nil
}

// print writes a value as JSON, or what text writes, for people.
func (o *output) print(w io.Writer, kind string, value any, text func(io.Writer) error) error {
	if o.format != "json" {
		var b strings.Builder
		if err := text(&b); err != nil {
			return err
		}
		_, err := io.WriteString(w, visible(b.String()))
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(envelope{APIVersion: "waymark/v1", Kind: kind, Item: value})
}

// envelope is around every value that is printed as JSON.
type envelope struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Item       any    `json:"item"`
}

// inLine is visible, of what is to stay in its line and column.
func inLine(text string) string {
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(visible(text))
}

// visible writes out what a terminal would obey or not show: anybody names his
// processes and cgroups as he likes, and whoever looks at them is root.
func visible(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r == '\n', r == '\t', strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}
