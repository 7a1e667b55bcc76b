// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"waymark/loader"
)

func newDown(e env) *cobra.Command {
	var s source
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
				return o.print(e.stdout, "Down", removed, func(w io.Writer) error {
					if removed.Nothing() {
						_, err := fmt.Fprintln(w, "nothing to remove: nothing of Waymark's is here")
						return err
					}
					_, err := fmt.Fprintf(w, "removed the programs, %s and %s; put %s back\n",
						count(removed.Rules, "rule"), count(removed.Routes, "route"), count(removed.Sysctls, "sysctl"))
					return err
				})
			})
		},
	}
	s.cgroupFlag(c)
	o.flag(c)
	return c
}
