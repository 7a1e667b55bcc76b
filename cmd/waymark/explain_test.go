// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/host"
	"waymark/internal/plan"
	"waymark/internal/rpdb"
	"waymark/loader"
)

// TestExplanationText has what no laboratory shows: a terminal, rules that
// cannot be judged, and ways that end.
func TestExplanationText(t *testing.T) {
	rule := func(action plan.Action, table uint32) plan.Rule {
		return plan.Rule{Family: plan.IPv4, Priority: 1000, Mark: 1, Mask: 7, Action: action, Table: table, Protocol: plan.Protocol, Rung: "route [b]: class one", Why: "uplink b"}
	}
	other := plan.Rule{Family: plan.IPv4, Priority: 5, Action: plan.Lookup, Table: 9, Other: "iif lo"}
	x := &loader.Explanation{
		Socket: &loader.OpenFlow{Class: "two", As: "three", Mark: 3, Uplink: "b", Proto: "tcp", Source: "10.0.0.1:4000", Peer: "203.0.113.1:443", UID: 1, Cgroup: "x.slice",
			Holders: []host.Holder{{PID: 4711, Command: "curl"}}},
		Line: "{uid: 1}", Position: "policy.yaml:3:5", Class: "one", Mark: 1, Mask: 7,
		Ways: []loader.Way{
			{Family: plan.IPv4, Verdict: plan.Verdict{Rule: rule(plan.Lookup, 7001), Route: plan.Route{Family: plan.IPv4, Table: 7001, Dst: plan.IPv4.Default(), Hops: []plan.NextHop{{Interface: "wg0"}}, Protocol: plan.Protocol},
				Interface: "wg0", Unsure: []plan.Rule{other}},
				Kernel: &rpdb.Answer{Table: plan.TableMain, Interface: "eth0", Source: netip.MustParseAddr("10.0.0.1")}, Differs: []string{"table: the plan says 7001, the kernel main"}},
			{Family: plan.IPv6, Verdict: plan.Verdict{Rule: rule(plan.Prohibit, 0)}, Kernel: &rpdb.Answer{Err: "EACCES"}},
			{Family: plan.IPv6, Verdict: plan.Verdict{}},
		},
	}
	want := `socket       tcp 10.0.0.1:4000 > 203.0.113.1:443
held by      curl (4711), uid 1, cgroup x.slice
carries      0x3/0x7: class three; a new one like it has class one
leaves by    uplink b
match        {uid: 1}  (policy.yaml:3:5)
class        one
mark         0x1/0x7
IPv4
  rule       priority 1000 from all fwmark 0x1/0x7 lookup 7001 protocol 119
  table      7001: default dev wg0 table 7001 protocol 119
  leaves by  wg0
  source     the kernel's choice
  because    route [b]: class one: uplink b
  not judged priority 5 from all iif lo lookup 9 protocol 0: whether it applies cannot be told from here
  kernel     table main, eth0, source 10.0.0.1
  DIFFERS    ` + "\x1b[31mtable: the plan says 7001, the kernel main\x1b[0m" + `
IPv6
  rule       priority 1000 from all fwmark 0x1/0x7 prohibit protocol 119
  because    route [b]: class one: uplink b
  kernel     EACCES
IPv6
  rule       none leads anywhere: the network is unreachable
  kernel     not asked: give --dst
`
	var got bytes.Buffer
	if err := printExplanation(&got, x, true); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestColour(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	t.Setenv("NO_COLOR", "")
	for name, c := range map[string]struct {
		e    env
		want bool
	}{
		"a buffer":           {env{stdout: &bytes.Buffer{}}, false},
		"a file":             {env{stdout: file}, false},
		"a character device": {env{stdout: null}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := colour(c.e); got != c.want {
				t.Errorf("coloured: %v, want %v", got, c.want)
			}
		})
	}
	t.Run("its user has said no", func(t *testing.T) {
		t.Setenv("NO_COLOR", "1")
		if colour(env{stdout: null}) {
			t.Error("coloured all the same")
		}
	})
}

func TestNumber(t *testing.T) {
	for text, want := range map[string]string{"1": "1", "65535": "65535", "0": "", "65536": "", "-1": "", "x": "", "": "", "1 ": ""} {
		n := number{lo: 1, hi: 65535}
		if err := n.Set(text); (err == nil) != (want != "") || n.String() != want {
			t.Errorf("%q: %q, %v; want %q", text, n.String(), err, want)
		}
	}
}
