// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"waymark/classes"
	"waymark/loader"
)

func newCheck(e env) *cobra.Command {
	s := source{env: e}
	var o output
	c := &cobra.Command{
		Use:   "check [-f FILE]",
		Short: "Say whether a policy is right, with every error at its line",
		Long:  "Reads a policy and reports everything that is wrong with it, at once. Nothing is changed, and root is not needed.",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := s.load()
			if err == nil {
				err = loader.CheckNames(p)
			}
			if o.format == "json" {
				return printProblems(e, &o, err)
			}
			if err != nil {
				return err
			}
			lines := 0
			for _, class := range p.Classes {
				lines += len(class.Matches)
			}
			_, err = fmt.Fprintf(e.stdout, "policy is right: %s, %s, %s\n",
				count(len(p.Uplinks), "uplink"), count(len(p.Classes), "class"), count(lines, "match"))
			return err
		},
	}
	s.fileFlag(c, policyFile+" and "+policyDir)
	o.flag(c)
	return c
}

// printProblems prints the problems as JSON and still fails with them.
func printProblems(e env, o *output, err error) error {
	problems, ok := err.(classes.Problems)
	if err != nil && !ok {
		return err
	}
	if perr := o.print(e.stdout, "Check", map[string]any{"problems": append(classes.Problems{}, problems...)}, func(io.Writer) error { return nil }); perr != nil {
		return perr
	}
	return err
}

// count is a number with its noun.
func count(n int, noun string) string {
	switch {
	case n == 1:
	case noun[len(noun)-1] == 's' || noun[len(noun)-2:] == "ch":
		noun += "es"
	default:
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
