// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"

	"github.com/spf13/cobra"

	"waymark/loader"
)

func newRollback(e env) *cobra.Command {
	s := source{env: e}
	var o output
	c := &cobra.Command{
		Use:   "rollback [STATE]",
		Short: "Go back to what was applied before",
		Long: `Goes back to the state before the one in force, or to any of the last ten:
"waymark status" lists them by their numbers. That is an apply like any other,
with a number of its own, and can be gone back on too.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			n := 0
			if len(args) == 1 {
				var err error
				if n, err = strconv.Atoi(args[0]); err != nil || n < 1 {
					return usage(c, fmt.Errorf("%q is no number of a state: `waymark status` lists them", args[0]))
				}
			}
			return s.onHost(func(l *loader.Loader) error {
				r, err := l.Rollback(n)
				if errors.Is(err, fs.ErrNotExist) {
					return errNothingApplied
				}
				if err != nil {
					return err
				}
				return o.print(e.stdout, "Rollback", rollbackJSON(r), func(w io.Writer) error { return printRollback(w, r) })
			})
		},
	}
	o.flag(c)
	return c
}

func rollbackJSON(r *loader.Returned) map[string]any {
	value := map[string]any{"from": r.From, "to": r.To}
	if r.Removed != nil {
		value["removed"] = r.Removed
	} else {
		value["state"], value["changes"], value["sockets"] = r.Applied.State.Number, r.Applied.Changes, r.Applied.Walked
	}
	return value
}

func printRollback(w io.Writer, r *loader.Returned) error {
	if r.Removed != nil {
		if _, err := fmt.Fprintf(w, "state %d was the first: gone back to nothing applied\n", r.From); err != nil {
			return err
		}
		return printRemoved(w, *r.Removed)
	}
	if err := printApplied(w, r.Applied, 0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "state %d, as state %d was\n", r.Applied.State.Number, r.To)
	return err
}
