// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"text/tabwriter"

	"waymark/internal/host"
	"waymark/loader"
)

// printStayed lists the open flows that leave elsewhere than new ones of their
// class: `status --flows`.
func printStayed(e env, o *output, l *loader.Loader) error {
	flows, err := l.StayedFlows()
	if errors.Is(err, fs.ErrNotExist) {
		return errNothingApplied
	}
	if err != nil {
		return err
	}
	return o.print(e.stdout, "Flows", flows, func(w io.Writer) error {
		if len(flows) == 0 {
			_, err := fmt.Fprintln(w, "every open flow leaves as new ones of its class do")
			return err
		}
		t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		fmt.Fprintln(t, "CLASS\tUPLINK\tFLOW\tCGROUP\tPROCESS\tWHY")
		for _, f := range flows {
			fmt.Fprintf(t, "%s\t%s\t%s %s > %s\t%s\t%s\t%s\n", f.Class, orDash(f.Uplink), f.Proto, f.Source, f.Peer, f.Cgroup, holders(f.Holders), whyStayed(f))
		}
		return t.Flush()
	})
}

func whyStayed(f loader.OpenFlow) string {
	if f.As != "" {
		return "a change of class left it in " + f.As
	}
	return "its source address is the uplink's own"
}

func holders(all []host.Holder) string {
	var texts []string
	for _, h := range all {
		texts = append(texts, fmt.Sprintf("%s (%d)", inLine(h.Command), h.PID))
	}
	return orDash(strings.Join(texts, ", "))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
