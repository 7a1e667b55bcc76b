// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/loader"
)

func newApply(e env) *cobra.Command {
	var s source
	var o output
	c := &cobra.Command{
		Use:   "apply [-f FILE]",
		Short: "Bring the kernel to the policy",
		Long: `Brings the kernel to the policy's plan: tables, rules, sysctls, maps, programs.
If a step fails, all of it is undone. No process stays behind: what was
applied works until "waymark down" or a reboot.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return s.withPolicy(func(policy *classes.Policy, l *loader.Loader) error {
				a, err := l.Apply(policy)
				if err != nil {
					return err
				}
				value := map[string]any{"changed": !a.Changes.Empty(), "changes": a.Changes, "sockets": a.Walked,
					"waiting": a.Plan.Waiting, "notes": a.Plan.Notes}
				return o.print(e.stdout, "Apply", value, func(w io.Writer) error { return printApplied(w, a) })
			})
		},
	}
	s.flags(c)
	o.flag(c)
	return c
}

func printApplied(w io.Writer, a *loader.Applied) error {
	p, changes := a.Plan, a.Changes
	if changes.Empty() {
		if _, err := fmt.Fprintln(w, "nothing to change: the kernel holds this policy"); err != nil {
			return err
		}
	} else if err := changes.Print(w); err != nil {
		return err
	}
	for _, s := range p.Waiting {
		if _, err := fmt.Fprintln(w, "waiting:", s); err != nil {
			return err
		}
	}
	for _, s := range p.Notes {
		if _, err := fmt.Fprintln(w, "note:", s); err != nil {
			return err
		}
	}
	if changes.Empty() {
		return nil
	}
	if s := a.Walked; s != (datapath.Walked{}) {
		if _, err := fmt.Fprintf(w, "open sockets: %d marked, %d noted, %d inbound left as they are, %d failed\n", s.Marked, s.Noted, s.Inbound, s.Failed); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "applied %s over %s; see `waymark status`\n", count(len(p.Classes), "class"), count(len(p.Uplinks), "uplink"))
	return err
}
