// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"waymark/internal/lab"
	"waymark/internal/web"
)

//go:embed demo.yaml
var demoPolicy string

func newDemo(e env) *cobra.Command {
	var o output
	var address string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show it all at work in a laboratory of network namespaces",
		Long: `Builds a multi-homed host with two uplinks, a router on each, and a far server,
all in network namespaces of its own; applies a policy there, runs clients in
its classes, and counts at the routers what came by which uplink. The
machine's own rules, routes and cgroups are not touched, and nothing is left.

With --listen it goes on: an agent keeps that host at its policy and serves its
page and metrics at an address of this machine, the clients send on, an uplink
fails and comes back, a class is moved, until Ctrl-C.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return fmt.Errorf("demo: make network namespaces: %w", os.ErrPermission)
			}
			var on net.Listener // of this machine, before any other namespace is entered
			if address != "" {
				var err error
				if on, err = web.Listen(address); err != nil {
					return fmt.Errorf("demo: %w", err)
				}
				defer on.Close()
			}
			if err := runDemo(c.Context(), e, &o, on); err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			return nil
		},
	}
	o.flag(c)
	c.Flags().StringVar(&address, "listen", "", "`ADDRESS` of this machine to serve the page and metrics of the laboratory's host on, as "+web.DefaultAddress+", until Ctrl-C")
	return c
}

// demo is a laboratory with a policy applied.
type demo struct {
	env
	lab  *lab.Lab
	talk bool   // to people, not programs
	dir  string // of its policy
}

// runDemo builds the laboratory, shows what there is to be seen and takes all
// away again. With a listener it shows it for as long as ctx lasts.
func runDemo(ctx context.Context, e env, o *output, on net.Listener) (err error) {
	d := &demo{env: e, talk: o.format == "text"}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.build(); err != nil {
		return err
	}
	if on == nil {
		return d.show(ctx, o, nil)
	}
	served, stop, err := d.serve(ctx, on)
	if err != nil {
		return err
	}
	defer stop()
	err = d.show(served, o, d.live)
	switch {
	case ctx.Err() != nil: // as it is meant to end
		return nil
	case served.Err() != nil:
		return context.Cause(served)
	}
	return err
}

// show runs every client once, says what came of it, and goes on with what
// there is beyond that; nil: nothing.
func (d *demo) show(ctx context.Context, o *output, beyond func(context.Context) error) error {
	rows, err := d.table(ctx)
	if err != nil {
		return err
	}
	if err := o.print(d.stdout, "Demo", rows, func(w io.Writer) error { return printDemo(w, rows) }); err != nil {
		return err
	}
	if err := verdict(rows); err != nil || beyond == nil {
		return err
	}
	return beyond(ctx)
}

// build makes the laboratory and applies the policy to its host.
func (d *demo) build() (err error) {
	if d.lab, err = lab.New(lab.Options{}); err != nil {
		return err
	}
	if _, err := d.lab.Cgroup("backup.slice"); err != nil {
		return err
	}
	if d.dir, err = os.MkdirTemp("", "waymark-demo-"); err != nil {
		return err
	}
	if err := os.WriteFile(d.policy(), []byte(demoPolicy), 0o600); err != nil {
		return err
	}
	d.say("a host with uplinks %s and %s, and this policy:\n\n%s\n", d.lab.Uplink(0).Interface, d.lab.Uplink(1).Interface, demoPolicy)
	return d.verb("apply", "-f", d.policy(), "--cgroup-root", d.lab.CgroupRoot())
}

func (d *demo) policy() string { return filepath.Join(d.dir, "policy.yaml") }

func (d *demo) close() (err error) {
	if d.dir != "" {
		err = errors.Join(d.verb("down"), os.RemoveAll(d.dir))
	}
	if d.lab != nil {
		err = errors.Join(err, d.lab.Close())
	}
	return err
}

// verb runs this program inside the laboratory's host.
func (d *demo) verb(args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if out, err := d.lab.Host.Command(self, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("waymark %s: %w: %s", args[0], err, out)
	}
	return nil
}

// say tells people something, and programs nothing.
func (d *demo) say(format string, args ...any) {
	if d.talk {
		fmt.Fprintf(d.stdout, format, args...)
	}
}

// table runs every client once.
func (d *demo) table(ctx context.Context) (rows []demoRow, err error) {
	for n, c := range demoClients {
		if ctx.Err() != nil {
			return nil, errors.New("interrupted: what it made is taken away again")
		}
		row, err := c.run(d.lab, c.port(n))
		if err != nil {
			return nil, fmt.Errorf("client of class %s: %w", c.class, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func verdict(rows []demoRow) error {
	for _, r := range rows {
		if !r.Right {
			return errors.New("a class did not leave by its uplink; `waymark status` in such a case says where it went")
		}
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
