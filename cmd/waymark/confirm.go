// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"waymark/loader"
)

func newConfirm(e env) *cobra.Command {
	s := source{env: e}
	var o output
	c := &cobra.Command{
		Use:   "confirm",
		Short: "Keep what was applied with --confirm",
		Long:  `Keeps what "waymark apply --confirm TIME" applied: it does not go back any more.`,
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return s.onHost(func(l *loader.Loader) error {
				state, err := l.Confirm()
				if err != nil {
					return err
				}
				return o.print(e.stdout, "Confirm", map[string]any{"state": state.Number}, func(w io.Writer) error {
					_, err := fmt.Fprintf(w, "state %d is kept: %s\n", state.Number, state.Change)
					return err
				})
			})
		},
	}
	o.flag(c)
	return c
}

// carriesOut is who does what is overdue: the process that waited for it is gone.
const carriesOut = "the agent, or the next command that changes something,"

// goesBack says when a state goes back, and how to have it otherwise.
func goesBack(g *loader.GoesBack) string {
	to := fmt.Sprintf("state %d", g.To)
	if g.To == 0 {
		to = "nothing applied"
	}
	if g.In == 0 {
		return fmt.Sprintf("was not confirmed in time: %s goes back to %s", carriesOut, to)
	}
	return fmt.Sprintf("goes back in %d s unless confirmed, to %s: `waymark confirm` keeps it, `waymark rollback` goes back now", g.In, to)
}
