// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"

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

// print writes a value as JSON, or calls text.
func (o *output) print(w io.Writer, kind string, value any, text func(io.Writer) error) error {
	if o.format != "json" {
		return text(w)
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
