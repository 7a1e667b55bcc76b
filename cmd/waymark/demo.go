// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"waymark/internal/lab"
)

//go:embed demo.yaml
var demoPolicy string

func newDemo(e env) *cobra.Command {
	var o output
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show it all at work in a laboratory of network namespaces",
		Long: `Builds a multi-homed host with two uplinks, a router on each, and a far server,
all in network namespaces of its own; applies a policy there, runs clients in
its classes, and counts at the routers what came by which uplink. The
machine's own rules, routes and cgroups are not touched, and nothing is left.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return fmt.Errorf("demo: make network namespaces: %w", os.ErrPermission)
			}
			rows, err := runDemo(c.Context(), e, o.format == "text")
			if err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			if err := o.print(e.stdout, "Demo", rows, func(w io.Writer) error { return printDemo(w, rows) }); err != nil {
				return err
			}
			for _, r := range rows {
				if !r.Right {
					return errors.New("demo: a class did not leave by its uplink; `waymark status` in such a case says where it went")
				}
			}
			return nil
		},
	}
	o.flag(c)
	return c
}

// runDemo builds the laboratory, runs the clients and takes all away again.
func runDemo(ctx context.Context, e env, talk bool) (rows []demoRow, err error) {
	l, err := lab.New(lab.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if _, err := l.Cgroup("backup.slice"); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "waymark-demo-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	policy := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte(demoPolicy), 0o600); err != nil {
		return nil, err
	}
	if talk {
		fmt.Fprintf(e.stdout, "a host with uplinks %s and %s, and this policy:\n\n%s\n", l.Uplink(0).Interface, l.Uplink(1).Interface, demoPolicy)
	}
	defer func() { err = errors.Join(err, demoVerb(l, "down")) }()
	if err := demoVerb(l, "apply", "-f", policy, "--cgroup-root", l.CgroupRoot()); err != nil {
		return nil, err
	}
	for n, c := range demoClients {
		if ctx.Err() != nil {
			return nil, errors.New("interrupted: what it made is taken away again")
		}
		row, err := c.run(l, uint16(5001+n))
		if err != nil {
			return nil, fmt.Errorf("client of class %s: %w", c.class, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// demoVerb runs this program inside the laboratory's host.
func demoVerb(l *lab.Lab, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if out, err := l.Host.Command(self, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("waymark %s: %w: %s", args[0], err, out)
	}
	return nil
}

func printDemo(w io.Writer, rows []demoRow) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "CLASS\tBY\tSENT\tSOURCES\tAT ROUTER A\tAT ROUTER B\tVERDICT")
	for _, r := range rows {
		verdict := "right: all by " + r.Uplink
		if !r.Right {
			verdict = "WRONG: should be all by " + r.Uplink
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%s\n", r.Class, r.By, r.Sent, r.Sources, r.Routers[0], r.Routers[1], verdict)
	}
	return t.Flush()
}
