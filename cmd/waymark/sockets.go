// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"waymark/internal/datapath"
)

// socketsLine says what became of open sockets: "412 sockets: 398 moved, 9
// kept (source pinned), 5 reset".
func socketsLine(w datapath.Walked) string {
	var parts []string
	for _, p := range []struct {
		n    uint64
		what string
	}{
		{w.Marked + w.Noted, "classed"},
		{w.Moved, "moved"},
		{w.Kept, "kept"},
		{w.Pinned, "kept (source pinned)"},
		{w.Inbound, "kept (accepted)"},
		{w.Reset, "reset"},
		{w.Failed, "failed"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	if parts == nil {
		return "0 sockets"
	}
	return count(int(w.Total()), "socket") + ": " + strings.Join(parts, ", ")
}
