// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"waymark/classes"
	"waymark/internal/host"
	"waymark/internal/neighbours"
	"waymark/internal/plan"
	"waymark/loader"
)

func newPlan(e env) *cobra.Command {
	s := source{env: e}
	var o output
	var exitOnChange bool
	var file string
	c := &cobra.Command{
		Use:   "plan [-f FILE]",
		Short: "Print what the kernel should hold, and how it differs",
		Long: `Prints the marks, tables, rules with the reason for each, sysctls and programs
that the policy needs on this host, as text that can be pasted into a shell,
and then what apply would change. Nothing is changed.

With -o FILE, a name that holds a dot or a slash, the plan is also written
there with the host state it was made from: "waymark apply FILE" applies
exactly that, or refuses if the host has changed since.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return s.withPolicy(func(policy *classes.Policy, l *loader.Loader) error {
				p, changes, report, err := l.Plan(policy)
				if err == nil && file != "" {
					e.signals.endAtOnce(false)
					err = writePlan(l, policy, file, p, changes)
				}
				if err != nil {
					return err
				}
				if s.cgroupRoot == "" { // units of this host's systemd are meant
					p.Notes = append(p.Notes, loader.UnitNotes(policy)...)
				}
				value := map[string]any{"plan": p, "changes": changes, "findings": report.AtLeast(neighbours.Warning)}
				err = o.print(e.stdout, "Plan", value, func(w io.Writer) error {
					if err := printPlan(w, p, changes, report); err != nil || file == "" {
						return err
					}
					_, err := fmt.Fprintf(w, "\n## written to %s: `waymark apply %s` applies exactly this\n", file, file)
					return err
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
	c.Flags().Lookup("output").Usage = "`FORMAT` to print in, text or json; or a FILE to write the plan to"
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if strings.ContainsAny(o.format, "./") {
			file, o.format = o.format, "text"
		}
		return o.check(c)
	}
	return c
}

// writePlan writes the plan that is shown; a file that is there is replaced
// whole.
func writePlan(l *loader.Loader, policy *classes.Policy, file string, p *plan.Plan, changes plan.Changes) error {
	saved, err := l.Save(policy, p, changes)
	if err != nil {
		return err
	}
	text, err := saved.Encode()
	if err != nil {
		return err
	}
	return host.Replace(file, text, 0o600)
}

func printPlan(w io.Writer, p *plan.Plan, changes plan.Changes, report neighbours.Report) error {
	if err := p.Print(w); err != nil {
		return err
	}
	if found := report.AtLeast(neighbours.Warning); len(found) > 0 {
		fmt.Fprintln(w, "\n## in its way on this host; `waymark doctor` says more")
		for _, f := range found {
			fmt.Fprintf(w, "# %s: %s: %s\n", f.Severity, f.What, f.Why)
		}
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
