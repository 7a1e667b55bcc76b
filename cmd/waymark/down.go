// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"waymark/internal/agent"
	"waymark/loader"
)

func newDown(e env) *cobra.Command {
	s := source{env: e}
	var o output
	c := &cobra.Command{
		Use:   "down",
		Short: "Remove everything of Waymark's from the kernel",
		Long: `Removes programs, maps, sysctl changes, rules and tables, in this order, and
nothing of anybody else's. Traffic goes by the main table from then on.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return s.onHost(func(l *loader.Loader) error {
				removed, err := l.Down()
				if err != nil {
					return err
				}
				agent.Forget(l)
				return o.print(e.stdout, "Down", removed, func(w io.Writer) error { return printRemoved(w, removed) })
			})
		},
	}
	s.cgroupFlag(c)
	o.flag(c)
	return c
}

func printRemoved(w io.Writer, r loader.Removed) error {
	var b strings.Builder
	if r.Nothing() {
		b.WriteString("nothing to remove: nothing of Waymark's is here\n")
	} else {
		fmt.Fprintf(&b, "removed the programs, %s and %s; put %s back\n", count(r.Rules, "rule"), count(r.Routes, "route"), count(r.Sysctls, "sysctl"))
	}
	if len(r.Unknown) > 0 {
		b.WriteString("the state was lost, and with it how sysctls were before: put back by hand, with `sysctl -w`, those of these that you did not set\n")
		for _, s := range r.Unknown {
			fmt.Fprintf(&b, "  %s\n", s)
		}
	}
	if len(r.Left) > 0 {
		fmt.Fprintf(&b, "left in the pin directory what is not Waymark's: %s\n", strings.Join(r.Left, ", "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
