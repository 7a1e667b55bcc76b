// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestManyMatchesAreReadAlike reads a class of many matches, with errors here
// and there, at once and in small classes: what is read and what is wrong is
// the same.
func TestManyMatchesAreReadAlike(t *testing.T) {
	const n = 4*partSize + 100
	head := "uplinks: [{name: a, interface: eth0}]\nclasses:\n"
	for name, wrong := range map[string]int{"right": n + 1, "wrong": 1000, "very wrong": 3} {
		t.Run(name, func(t *testing.T) {
			var one, small strings.Builder
			one.WriteString(head + "  - name: c\n    route: [a]\n    match:\n")
			small.WriteString(head)
			for i := range n {
				if i%200 == 0 {
					fmt.Fprintf(&small, "  - name: c%d\n    route: [a]\n    match:\n", i)
				}
				port := fmt.Sprint(1 + i%60000)
				if i%wrong == wrong-1 {
					port = "x"
				}
				line := fmt.Sprintf("      - {dst: 10.%d.%d.1, proto: udp, dport: %s}\n", i/256, i%256, port)
				one.WriteString(line)
				small.WriteString(line)
			}
			want, got := account(t, small.String()), account(t, one.String())
			if len(want) != len(got) {
				t.Fatalf("%d lines, want %d", len(got), len(want))
			}
			for i := range want {
				if want[i] != got[i] {
					t.Fatalf("line %d: %s, want %s", i, got[i], want[i])
				}
			}
		})
	}
}

// account is what there is to say of a policy: its matches, or what is wrong.
func account(t *testing.T, text string) (lines []string) {
	p, err := Parse("x.yaml", []byte(text))
	var problems Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			lines = append(lines, p.Text+": "+p.Source)
		}
		return lines
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.Classes {
		for _, m := range c.Matches {
			lines = append(lines, m.String())
		}
	}
	return lines
}

// TestShadowsInManyMatches finds shadows in every part.
func TestShadowsInManyMatches(t *testing.T) {
	const n = 4 * partSize
	matches := make([]*Match, n)
	for i := range matches {
		port := uint16(1 + i)
		if i%1000 == 999 {
			port -= 500
		}
		matches[i] = &Match{Dport: []PortRange{{port, port}}}
	}
	found := findShadows(matches)
	if len(found) != n/1000 {
		t.Fatalf("%d shadows, want %d", len(found), n/1000)
	}
	for k, s := range found {
		if s != (shadow{1000*k + 999, 1000*k + 499}) {
			t.Errorf("shadow %d is %v", k, s)
		}
	}
}

func TestTextIsToldFromBytes(t *testing.T) {
	for length := range 20 {
		for at := range length {
			for c := range 256 {
				text := []byte(strings.Repeat("a", length))
				text[at] = byte(c)
				want := c == '\n' || c >= ' ' && c < 0x7f
				if got := isText(string(text)); got != want {
					t.Fatalf("byte %#x at %d of %d: %v", c, at, length, got)
				}
			}
		}
	}
}
