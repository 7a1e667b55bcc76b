// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"waymark/classes"
	"waymark/loader"
)

func newApply(e env) *cobra.Command {
	v := applyVerb{source: source{env: e}}
	c := &cobra.Command{
		Use:   "apply [-f FILE | PLAN]",
		Short: "Bring the kernel to the policy",
		Long: `Brings the kernel to the policy's plan: tables, rules, sysctls, maps, programs.
If a step fails, all of it is undone. No process stays behind: what was
applied works until "waymark down" or a reboot.

PLAN is a file that "waymark plan -o FILE" wrote: exactly that is applied, or
nothing, with exit code 4, if the host has changed since.

With --confirm, the state before comes back after that time unless "waymark
confirm" is run first, whatever became of this terminal.`,
		Args: cobra.MaximumNArgs(1),
		RunE: v.run,
	}
	c.Flags().DurationVar(&v.trial, "confirm", 0, "go back after this `TIME`, such as 60s, unless \"waymark confirm\" comes")
	v.flags(c)
	v.flag(c)
	return c
}

// applyVerb is one call of apply.
type applyVerb struct {
	source
	output
	trial time.Duration
}

func (v *applyVerb) run(c *cobra.Command, args []string) error {
	if c.Flags().Changed("confirm") && v.trial < time.Second {
		return usage(c, fmt.Errorf("--confirm %s: write a time of a second or more, such as 60s", v.trial))
	}
	if v.trial > longestWait {
		return usage(c, fmt.Errorf("--confirm %s: write a time of at most %s", v.trial, longestWait))
	}
	if v.trial > 0 {
		signal.Ignore(syscall.SIGHUP) // the terminal may be what this cuts off
	}
	if len(args) == 0 {
		return v.withPolicy(func(policy *classes.Policy, l *loader.Loader) error {
			return v.apply(l, func() (*loader.Applied, error) { return l.Try(policy, v.trial) })
		})
	}
	if v.files != nil || v.cgroupRoot != "" {
		return usage(c, errors.New("a plan has its policy and its cgroup root in it: name the plan, or -f and --cgroup-root"))
	}
	saved, err := readPlan(args[0])
	if err != nil {
		return err
	}
	return v.onHost(func(l *loader.Loader) error {
		return v.apply(l, func() (*loader.Applied, error) { return l.ApplySaved(saved, v.trial) })
	})
}

func readPlan(file string) (*loader.SavedPlan, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	saved, err := loader.ReadSavedPlan(text)
	if err != nil {
		return nil, fmt.Errorf("read plan %s: %w", file, err)
	}
	return saved, nil
}

func (v *applyVerb) apply(l *loader.Loader, do func() (*loader.Applied, error)) error {
	a, err := do()
	if err != nil {
		return err
	}
	value := map[string]any{"changed": a.Replaced || !a.Changes.Empty(), "changes": a.Changes, "sockets": a.Walked,
		"waiting": a.Plan.Waiting, "notes": a.Plan.Notes, "state": a.State.Number}
	if a.State.Trial != nil {
		if err := startWait(l.CgroupRoot()); err != nil {
			_, back := l.Rollback(0)
			return errors.Join(fmt.Errorf("apply: start the process that would go back: %w; everything is as it was before", err), back)
		}
		value["goesBack"] = a.State.Trial.GoesBack()
	} else if a.TakesUp() {
		if err := startWait(l.CgroupRoot()); err != nil {
			return fmt.Errorf("apply: start the process that takes back moves in time: %w; the policy is in force, and the next command takes them back", err)
		}
	}
	return v.print(v.stdout, "Apply", value, func(w io.Writer) error { return printApplied(w, a, v.trial) })
}

func printApplied(w io.Writer, a *loader.Applied, trial time.Duration) error {
	p, changes := a.Plan, a.Changes
	if changes.Empty() {
		text := "nothing to change: the kernel holds this policy"
		if a.Replaced {
			text = "the policy is in force as it was; the programs are this build's now"
		}
		if _, err := fmt.Fprintln(w, text); err != nil {
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
	if trial > 0 && a.State.Trial == nil {
		if _, err := fmt.Fprintln(w, "it was in force before: there is nothing to confirm"); err != nil {
			return err
		}
	}
	if changes.Empty() {
		return printTrial(w, a.State.Trial)
	}
	if a.Walked.Total() > 0 {
		if _, err := fmt.Fprintln(w, a.Walked); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(w, "applied %s over %s; see `waymark status`\n", count(len(p.Classes), "class"), count(len(p.Uplinks), "uplink")); err != nil {
		return err
	}
	return printTrial(w, a.State.Trial)
}

func printTrial(w io.Writer, t *loader.Trial) error {
	if t == nil {
		return nil
	}
	_, err := fmt.Fprintln(w, goesBack(t.GoesBack()))
	return err
}
