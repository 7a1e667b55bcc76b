// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"strings"
	"testing"

	"waymark/internal/host"
	"waymark/loader"
)

// TestOutputIsNoTerminalsMaster has names that somebody chose for what a
// terminal would do with them.
func TestOutputIsNoTerminalsMaster(t *testing.T) {
	const sent, shown = "a\x1b]0;b\ac\r\x9b1m\u009b\u202e\x7f", `a\x1b]0;b\ac\r\x9b1m\u009b\u202e\x7f`
	var watched, printed strings.Builder
	if err := printEvent(&watched, loader.Event{Cgroup: sent, Command: sent, PID: 1}, false); err != nil {
		t.Fatal(err)
	}
	if got := watched.String(); strings.Count(got, shown) != 2 {
		t.Errorf("watch prints %q", got)
	}
	watched.Reset()
	if err := printEvent(&watched, loader.Event{Command: "a\nb\tc", PID: 1}, false); err != nil {
		t.Fatal(err)
	}
	if got := watched.String(); !strings.HasSuffix(got, `a\nb\tc[1]`+"\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("watch prints %q", got)
	}
	if got := holders([]host.Holder{{PID: 1, Command: "a\nb\tc"}}); got != `a\nb\tc (1)` {
		t.Errorf("holders are %q", got)
	}
	var explained strings.Builder
	if err := printExplanation(&explained, &loader.Explanation{Socket: &loader.OpenFlow{Cgroup: sent}}, true); err != nil {
		t.Fatal(err)
	}
	if got := explained.String(); !strings.Contains(got, shown) {
		t.Errorf("explain prints %q", got)
	}
	o := output{format: "text"}
	if err := o.print(&printed, "", nil, func(w io.Writer) error { _, err := io.WriteString(w, "µ …\t"+sent+"\n"); return err }); err != nil {
		t.Fatal(err)
	}
	if got, want := printed.String(), "µ …\t"+shown+"\n"; got != want {
		t.Errorf("a verb prints %q, want %q", got, want)
	}
}
