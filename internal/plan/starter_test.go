// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/classes"
)

// crowdedHost is one on which others use what Waymark's defaults name.
func crowdedHost() *host {
	h := exampleHost()
	h.Rules = append(h.Rules,
		Rule{Family: IPv4, Priority: 1010, Mark: 0x80000000, Mask: 0xf0000000, Action: Lookup, Table: 7003, Protocol: 4},
		Rule{Family: IPv4, Priority: 2001, Mark: 0x100, Mask: 0x3f00, Action: Lookup, Table: 1, Protocol: 3},
		Rule{Family: IPv6, Priority: 3100, Mark: 0x7000000, Mask: 1<<32 - 1, Action: Lookup, Table: 2, Protocol: 3})
	return h
}

func TestStarter(t *testing.T) {
	for name, host := range map[string]*host{"starter": exampleHost(), "starter-crowded": crowdedHost(), "starter-ppp": hosts["point-to-point"]()} {
		t.Run(name, func(t *testing.T) {
			text, err := Starter(host.Facts, Free(host.Facts, 0))
			if err != nil {
				t.Fatal(err)
			}
			golden := "testdata/" + name + ".policy"
			if *update {
				if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), text); diff != "" {
				t.Errorf("the starter is another (-want +got):\n%s", diff)
			}
			p := host.make(t, text, Numbers{})
			if len(p.Uplinks) == 0 || len(p.Classes)+len(p.Lines)+len(p.Blocks) > 0 {
				t.Errorf("as it is, it has %d uplinks, %d classes, %d matches, %d blocks", len(p.Uplinks), len(p.Classes), len(p.Lines), len(p.Blocks))
			}
			for _, r := range p.Rules {
				if !r.From.IsValid() {
					t.Errorf("as it is, it routes what is bound nowhere: %s", r)
				}
			}
			edited := regexp.MustCompile(`(?m)^# (classes:|  [ -])`).ReplaceAllString(text, "$1")
			if p = host.make(t, edited, Numbers{}); len(p.Classes) != 2 || len(p.Rules) == 0 {
				t.Errorf("out of its comments, it has %d classes and %d rules", len(p.Classes), len(p.Rules))
			}
		})
	}
}

func TestStarterWithoutAWayOut(t *testing.T) {
	if text, err := Starter(newHost().Facts, Unused{}); err == nil {
		t.Errorf("no error, and\n%s", text)
	}
}

// TestStarterIsRight is right on hosts with names and numbers that a policy does
// not take.
func TestStarterIsRight(t *testing.T) {
	h := newHost()
	for _, name := range []string{"a'b", "a,b", "ü", "ß", "eth0.100", "_x", "-"} {
		h.link(name, "10.0.1.2/24")
		h.route(name, "10.0.1.1", 0)
	}
	for bit := range 32 {
		h.Rules = append(h.Rules, Rule{Family: IPv4, Priority: uint32(100 + bit), Mark: 1 << bit, Mask: 1 << bit, Action: Lookup, Table: 9, Protocol: 3})
	}
	text, err := Starter(h.Facts, Free(h.Facts, 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := classes.Parse("policy.yaml", []byte(text)); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestStarterWithoutANextHop is of a link on which everybody is.
func TestStarterWithoutANextHop(t *testing.T) {
	h := newHost()
	h.link("direct", "10.0.2.2/24")
	h.route("direct", "", 0)
	text, err := Starter(h.Facts, Free(h.Facts, 0))
	if err != nil {
		t.Fatal(err)
	}
	if p := h.make(t, text, Numbers{}); len(p.Waiting) > 0 {
		t.Errorf("it waits: %q\n%s", p.Waiting, text)
	}
}

// TestStarterLeavesOutPatterns has default routes by interfaces that a policy takes
// for patterns, beside others and alone.
func TestStarterLeavesOutPatterns(t *testing.T) {
	h := exampleHost()
	const says = "\"ppp+\" has a default route, and no policy can name it: `ip link set dev \"ppp+\" name NAME`"
	odd := Route{Family: IPv4, Table: TableMain, Dst: IPv4.Default(), Hops: []NextHop{{Interface: "ppp+"}}}
	h.Links["ppp+"], h.Routes = Link{Index: 99, Up: true}, append(h.Routes, odd)
	text, err := Starter(h.Facts, Free(h.Facts, 0))
	if err != nil || !strings.Contains(text, "# the interface "+says) {
		t.Errorf("%v: says nothing of it:\n%s", err, text)
	}
	if len(h.make(t, text, Numbers{}).Uplinks) == 0 {
		t.Error("without it, no uplink is left")
	}
	h.Routes = []Route{odd}
	if _, err := Starter(h.Facts, Free(h.Facts, 0)); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("alone: %v", err)
	}
}
