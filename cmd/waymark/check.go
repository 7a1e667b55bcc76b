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
			var notes []string
			if err == nil {
				notes = loader.UnitNotes(p)
			}
			if o.format == "json" {
				return printProblems(e, &o, notes, err)
			}
			if err != nil {
				return err
			}
			lines := 0
			for _, class := range p.Classes {
				lines += len(class.Matches)
			}
			_, err = fmt.Fprintf(e.stdout, "policy is right: %s, %s, %s\n%s",
				count(len(p.Uplinks), "uplink"), count(len(p.Classes), "class"), count(lines, "match"), noteLines(notes))
			return err
		},
	}
	s.fileFlag(c, policyFile+" and "+policyDir)
	o.flag(c)
	return c
}

// noteLines is a line for each note.
func noteLines(notes []string) (text string) {
	for _, n := range notes {
		text += "note: " + n + "\n"
	}
	return text
}

// printProblems prints problems and notes as JSON, and still fails with the
// problems.
func printProblems(e env, o *output, notes []string, err error) error {
	problems, ok := err.(classes.Problems)
	if err != nil && !ok {
		return err
	}
	said := map[string]any{"problems": append(classes.Problems{}, problems...), "notes": append([]string{}, notes...)}
	if perr := o.print(e.stdout, "Check", said, func(io.Writer) error { return nil }); perr != nil {
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
