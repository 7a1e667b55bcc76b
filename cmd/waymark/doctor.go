// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	"github.com/spf13/cobra"

	"waymark/classes"
	"waymark/loader"
)

// errSerious is how `doctor` says that something has to be done.
var errSerious = errors.New("something on this host is in Waymark's way")

func newDoctor(e env) *cobra.Command {
	s := source{env: e}
	var o output
	c := &cobra.Command{
		Use:   "doctor [-f FILE]",
		Short: "Find what else on this host touches marks, rules, tables and filters",
		Long: `Looks for what would send classed traffic a wrong way, or be hurt by Waymark:
rules, filters, IPsec, sockets and BPF programs that use fwmark bits, rules and
tables of others, settings that remove or overrule Waymark's. Each finding says
why it matters and the command that cures it. It judges by the policy named, by
the one that is applied, or by the defaults. Nothing is changed. Exit code 2:
something serious was found.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return s.onHost(func(l *loader.Loader) error {
				var policy *classes.Policy
				if s.files != nil {
					var err error
					if policy, err = s.load(); err != nil {
						return err
					}
				}
				report, err := l.Doctor(policy)
				if err != nil {
					return err
				}
				if err := o.print(e.stdout, "Report", report, report.Print); err != nil {
					return err
				}
				if report.Serious() {
					return errSerious
				}
				return nil
			})
		},
	}
	s.fileFlag(c, "what is applied")
	s.cgroupFlag(c)
	o.flag(c)
	return c
}
