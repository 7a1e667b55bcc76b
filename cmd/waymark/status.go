// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"waymark/internal/agent"
	"waymark/internal/plan"
	"waymark/internal/probe"
	"waymark/loader"
)

func newStatus(e env) *cobra.Command {
	s := source{env: e}
	var o output
	var flows bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Show classes, uplinks and what each class sent by each uplink",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return s.onHost(func(l *loader.Loader) error {
				if flows {
					return printStayed(e, &o, l)
				}
				status, err := l.Status()
				if errors.Is(err, fs.ErrNotExist) {
					return errNothingApplied
				}
				if err != nil {
					return err
				}
				record, err := agent.Read(l.Netns())
				if err != nil {
					// What the agent says of itself is the least of it.
					fmt.Fprintf(e.stderr, "waymark: %v\n", err)
				}
				value := statusAndAgent{status, record}
				return o.print(e.stdout, "Status", value, func(w io.Writer) error {
					if err := printStatus(w, status); err != nil {
						return err
					}
					return printAgent(w, record)
				})
			})
		},
	}
	c.Flags().BoolVar(&flows, "flows", false, "list the open flows that stay elsewhere than new ones of their class leave")
	o.flag(c)
	return c
}

// statusAndAgent is what `status` prints.
type statusAndAgent struct {
	*loader.Status
	Agent *agent.Record `json:"agent,omitempty"` // none: no agent runs
}

// printAgent says what the agent does, if one runs.
func printAgent(w io.Writer, r *agent.Record) error {
	if r == nil {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nagent: process %d, since %s; %s\n", r.PID, r.Since.Format("2006-01-02 15:04:05 MST"), r.Text())
	for _, h := range r.Last {
		fmt.Fprintf(&b, "  %s %s %s", h.Time.Format("2006-01-02 15:04:05 MST"), h.Kind, h.Object)
		if h.By != "" {
			fmt.Fprintf(&b, ", which was changed by %s", h.By)
		}
		b.WriteString("\n")
	}
	if r.Cgroups != "" {
		fmt.Fprintf(&b, "  cgroups get their class when %s tells of them, for want of a tracepoint: their first sockets may have none\n", r.Cgroups)
	}
	printProbes(&b, r.Probes)
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "agent says: %s\n", p)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printProbes says what the probes of the uplinks find.
func printProbes(b *strings.Builder, states []probe.State) {
	for _, s := range states {
		if s.Down != "" {
			since := ""
			if !s.Since.IsZero() {
				since = s.Since.Format(" since 2006-01-02 15:04:05 MST")
			}
			fmt.Fprintf(b, "  uplink %s leads nowhere%s: %s\n", s.Uplink, since, s.Down)
		}
		for _, t := range s.Targets {
			fmt.Fprintf(b, "  uplink %s, %s: %d%% lost, %s, %d of %d probes lost in all\n", s.Uplink, t.Name, t.Loss, t.Latency.Round(10*time.Microsecond), t.Lost, t.Sent)
		}
	}
}

func printStatus(w io.Writer, s *loader.Status) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "applied %s, mask %s, cgroups below %s\n\n", s.Applied.Format("2006-01-02 15:04:05 MST"), s.Mask, s.CgroupRoot)
	printUplinks(t, s.Uplinks)
	printClasses(t, s.Classes)
	printBeside(t, s)
	if len(s.States) > 1 {
		fmt.Fprintln(t, "\nSTATE\tAPPLIED\tBY\tCHANGE")
		for _, p := range s.States {
			fmt.Fprintf(t, "%d\t%s\t%s\t%s\n", p.Number, p.Applied.Format("2006-01-02 15:04:05 MST"), p.Author, p.Change)
		}
	}
	if s.GoesBack != nil {
		fmt.Fprintf(t, "\n%s\n", goesBack(s.GoesBack))
	}
	if s.Unfinished != "" {
		fmt.Fprintf(t, "\n%s was interrupted: the next `waymark apply`, `rollback` or `confirm` undoes or finishes it first, `down` removes everything\n", s.Unfinished)
	}
	if s.Conflict != "" {
		fmt.Fprintf(t, "\nconflict: %s\n", s.Conflict)
	}
	if !s.Drift.Empty() {
		fmt.Fprintln(t, "\nthe kernel no longer holds this; `waymark apply` would change")
		if err := s.Drift.Print(t); err != nil {
			return err
		}
	}
	return t.Flush()
}

func printUplinks(t io.Writer, uplinks []plan.Uplink) {
	fmt.Fprintln(t, "UPLINK\tINTERFACE\tSTATE\tTABLE\tNEXT HOPS")
	for _, u := range uplinks {
		state := "up"
		if u.Withdrawn != "" {
			state = "withdrawn"
		}
		if !u.Leads() {
			state = "down"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", u.Name, u.Interface, state, u.Table, nextHops(u))
	}
}

func printClasses(t io.Writer, classes []loader.ClassStatus) {
	fmt.Fprintln(t, "\nCLASS\tMARK\tROUTE\tUPLINK\tPACKETS\tBYTES\tMISROUTES\tREPAIRED\tDROPPED")
	for _, c := range classes {
		name, mark, route := c.Name, fmt.Sprintf("%#x", c.Mark), c.Route
		if c.Mark == 0 {
			mark, route = "-", "-"
		}
		for _, n := range c.Counts {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\n", name, mark, route, n.Uplink, n.Packets, n.Bytes, n.Misroutes, n.Repaired, n.Dropped)
			name, mark, route = "", "", ""
		}
	}
}

// printBeside says what is otherwise than the policy alone would have it.
func printBeside(t io.Writer, s *loader.Status) {
	if s.Arming.Failed > 0 {
		fmt.Fprintf(t, "\nno room: cgroups were made %d times that a match names and the table of cgroups had no room for: `waymark apply` makes more", s.Arming.Failed)
	}
	for _, c := range s.Classes {
		if c.Kept > 0 {
			fmt.Fprintf(t, "\nkept: %s of class %s, where a change found them", count(int(c.Kept), "open flow"), c.Name)
		}
	}
	for _, c := range s.Classes {
		for _, a := range c.Away {
			fmt.Fprintf(t, "\naway: %s of class %s with uplink %s's own address: `waymark status --flows` lists them", count(int(a.Flows), "open flow"), c.Name, a.Uplink)
		}
	}
	for _, o := range s.Overrides {
		fmt.Fprintf(t, "\n%s, by %s since %s%s", o.String(), o.Author, o.Since.Format("2006-01-02 15:04:05 MST"), timeLeft(o))
	}
	for _, x := range s.Waiting {
		fmt.Fprintf(t, "\nwaiting: %s", x)
	}
	for _, x := range s.Notes {
		fmt.Fprintf(t, "\nnote: %s", x)
	}
	if len(s.Waiting)+len(s.Notes)+len(s.Overrides) > 0 || s.Arming.Failed > 0 {
		fmt.Fprintln(t)
	}
}

// timeLeft says when an override goes back by itself.
func timeLeft(o loader.Override) string {
	left := o.Left()
	switch {
	case o.Until == 0:
		return ""
	case left <= 0:
		return fmt.Sprintf(", whose time is over: %s takes it back", carriesOut)
	}
	return fmt.Sprintf(", for another %s", max(time.Second, left.Round(time.Second)))
}

func nextHops(u plan.Uplink) string {
	var hops []string
	for _, f := range plan.Families {
		if g := u.Gateways[f]; g.IsValid() {
			hops = append(hops, g.String())
		} else if u.Families[f] {
			hops = append(hops, f.String()+" without one")
		}
	}
	if hops == nil {
		return "none"
	}
	return strings.Join(hops, ", ")
}
