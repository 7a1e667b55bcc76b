// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkParse100k reads 100,000 matches of addresses and ports.
func BenchmarkParse100k(b *testing.B) {
	var text strings.Builder
	text.WriteString("uplinks: [{name: a, interface: eth0}]\nclasses:\n  - name: c\n    route: [a]\n    match:\n")
	for i := range 100_000 {
		fmt.Fprintf(&text, "      - {proto: %s, dst: 198.%d.%d.%d, dport: %d-%d}\n", []string{"tcp", "udp"}[i%2], 18+i>>16, i>>8&255, i&255, 1+i%60_000, 1+i%60_000+i%3)
	}
	source := []byte(text.String())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("x.yaml", source); err != nil {
			b.Fatal(err)
		}
	}
}
