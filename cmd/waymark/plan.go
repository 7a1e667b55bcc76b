// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"waymark/classes"
	"waymark/internal/plan"
	"waymark/loader"
)

func newPlan(e env) *cobra.Command {
	var s source
	var o output
	var exitOnChange bool
	c := &cobra.Command{
		Use:   "plan [-f FILE]",
		Short: "Print what the kernel should hold, and how it differs",
		Long: `Prints the marks, tables, rules with the reason for each, sysctls and programs
that the policy needs on this host, as text that can be pasted into a shell,
and then what apply would change. Nothing is changed.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return s.withPolicy(func(policy *classes.Policy, l *loader.Loader) error {
				p, changes, err := l.Plan(policy)
				if err != nil {
					return err
				}
				err = o.print(e.stdout, "Plan", map[string]any{"plan": p, "changes": changes}, func(w io.Writer) error {
					return printPlan(w, p, changes)
				})
				if err == nil && exitOnChange && !changes.Empty() {
					return errDiffers
				}
				return err
			})
		},
	}
	c.Flags().BoolVar(&exitOnChange, "exit-code", false, "exit with 2 when the kernel differs from the plan")
	s.flags(c)
	o.flag(c)
	return c
}

func printPlan(w io.Writer, p *plan.Plan, changes plan.Changes) error {
	if err := p.Print(w); err != nil {
		return err
	}
	if changes.Empty() {
		_, err := fmt.Fprintln(w, "\n## the kernel holds this plan")
		return err
	}
	if _, err := fmt.Fprintln(w, "\n## apply would change"); err != nil {
		return err
	}
	return changes.Print(w)
}
