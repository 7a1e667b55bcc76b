// SPDX-License-Identifier: Apache-2.0

// Command bench measures what Waymark costs, beside what people use today,
// in network namespaces of its own.
//
// Every arm is a host in a laboratory of its own, all standing at once, so
// that their samples can be taken in turn: one process for each, pinned to
// CPU 0, sends from it to a sink one link away. Datagrams are taken there
// as they arrive; TCP is served by a process on CPU 1. What an arm adds is
// the difference to two bare hosts in the same turn; what these two differ
// by is the noise, and voids what is measured in too much of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if roleMain() {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures, prints the tables and writes the JSON. A bound that is
// missed is no error.
func run(ctx context.Context, args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("it makes network namespaces and cgroups: run it as root")
	}
	r := &report{Environment: readEnvironment(o.quick)}
	r.Environment.print(os.Stdout)
	if err = measureAll(ctx, o, r); err != nil && ctx.Err() != nil {
		err = fmt.Errorf("interrupted: %w", err)
	}
	// What was measured before an error is worth having.
	r.Rows = rows(r, o)
	r.print(os.Stdout)
	if o.json != "" {
		err = errors.Join(err, r.write(o.json))
	}
	return err
}

// roleMain does a child's work if this process was started to be one.
func roleMain() bool {
	if len(os.Args) < 2 {
		return false
	}
	role, ok := map[string]func([]string) error{
		"role:worker": workerMain, "role:sink": sinkMain, "role:apply": applyMain,
	}[os.Args[1]]
	if !ok {
		return false
	}
	if err := role(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}
