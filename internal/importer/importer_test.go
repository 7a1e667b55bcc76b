// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"waymark/classes"
	"waymark/internal/filters"
	"waymark/internal/plan"
)

var update = flag.Bool("update", false, "write what is imported into testdata")

// TestImport imports what each archive of testdata holds, and finds its last
// file, the policy.
func TestImport(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) < 4 {
		t.Fatalf("%d archives: %v", len(archives), err)
	}
	for _, path := range archives {
		t.Run(filepath.Base(path), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var s Setup
			for _, f := range archive.Files {
				if f.Name == "policy" {
					continue
				}
				if err := s.Add(f.Name, string(f.Data)); err != nil {
					t.Fatal(err)
				}
			}
			imported, err := Import(s)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := classes.Parse("policy.yaml", []byte(imported.Policy)); err != nil {
				t.Errorf("the policy is not right: %v", err)
			}
			want := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "policy" })
			got := imported.Policy[strings.Index(imported.Policy, "uplinks:"):]
			if *update {
				archive.Files[want].Data = []byte(got)
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(archive.Files[want].Data), got); diff != "" {
				t.Errorf("another policy (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRuleOfFileAndKernel is one that networkd has put into the kernel: it is
// one match.
func TestRuleOfFileAndKernel(t *testing.T) {
	s := Setup{Facts: plan.Facts{
		Rules:  []plan.Rule{{Family: plan.IPv4, Priority: 90, Action: plan.Lookup, Table: 7, Other: "uidrange 5-5", Protocol: 4}},
		Routes: []plan.Route{{Family: plan.IPv4, Table: 7, Dst: plan.IPv4.Default(), Hops: []plan.NextHop{{Interface: "wwan0"}}}},
		Links:  map[string]plan.Link{"wwan0": {}},
	}}
	if err := s.Add("a.network", "[Match]\nName=wwan0\n[RoutingPolicyRule]\nUser=5-5\nTable=7\n"); err != nil {
		t.Fatal(err)
	}
	imported, err := Import(s)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(imported.Policy, "uid: 5"); n != 1 {
		t.Errorf("%d matches, want 1:\n%s", n, imported.Policy)
	}
}

// TestGatewayThatIsNone has one that a policy would not take: it is looked for
// on the host.
func TestGatewayThatIsNone(t *testing.T) {
	for _, via := range []string{"::", "0.0.0.0", "127.0.0.1", "ff02::1", "_dhcp4"} {
		var s Setup
		if err := s.Add("a.network", "[Match]\nName=eth0\n[Route]\nGateway="+via+"\nTable=7\n"); err != nil {
			t.Fatal(err)
		}
		imported, err := Import(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := classes.Parse("policy.yaml", []byte(imported.Policy)); err != nil || !strings.Contains(imported.Policy, "gateway: auto") {
			t.Errorf("%s: %v\n%s", via, err, imported.Policy)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, text := range map[string]string{
		"a.txt":     "hello",
		"a.json":    "{",
		"a.yaml":    "network: [",
		"b.yaml":    "network: {ethernets: {eth0: {routes: [{to: default, via: 10.0.0.1, table: vpn}]}}}",
		"a.network": "[Match]\nName=eth0\n[RoutingPolicyRule]\nFrom=nowhere\n",
		"empty":     "*mangle\nCOMMIT\n",
	} {
		var s Setup
		err := s.Add(name, text)
		if err == nil {
			_, err = Import(s)
		}
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzImport reads anything: what comes out is a right policy, or an error.
func FuzzImport(f *testing.F) {
	archives, _ := filepath.Glob("testdata/*.txtar")
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			f.Add(file.Name, string(file.Data))
		}
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		s := Setup{Facts: plan.Facts{
			Rules:  []plan.Rule{{Family: plan.IPv4, Priority: 9, Mark: 1, Mask: 0xff, Action: plan.Lookup, Table: 7}},
			Routes: []plan.Route{{Family: plan.IPv4, Table: 7, Dst: plan.IPv4.Default(), Hops: []plan.NextHop{{Interface: "wwan0"}}}},
			Links:  map[string]plan.Link{"wwan0": {}},
		}}
		if s.Add(name, text) != nil {
			return
		}
		imported, err := Import(s)
		if err != nil {
			return
		}
		if _, err := classes.Parse("policy.yaml", []byte(imported.Policy)); err != nil {
			t.Errorf("%v\n%s", err, imported.Policy)
		}
	})
}

// TestBehindMain has a rule that no packet comes to: main is asked before, and has
// a default route.
func TestBehindMain(t *testing.T) {
	s := withTable()
	user := plan.Rule{Family: plan.IPv4, Priority: 33000, Action: plan.Lookup, Table: 7, Other: "uidrange 5-5"}
	s.Facts.Rules = []plan.Rule{{Family: plan.IPv4, Priority: 32766, Action: plan.Lookup, Table: plan.TableMain}, user}
	imported, err := Import(s)
	if err != nil {
		t.Fatal(err)
	}
	if imported.Classes != 0 || len(imported.Left) != 1 || !strings.Contains(imported.Left[0].Why, "asked before") {
		t.Errorf("it is carried over:\n%s", imported.Policy)
	}
}

// TestShorewall has the providers of one whose main has IPv6 alone: what it knows of
// IPv4 goes with its tables, and its balance is the kernel's.
func TestShorewall(t *testing.T) {
	hop := func(device, gateway string, weight int) plan.NextHop {
		return plan.NextHop{Interface: device, Gateway: netip.MustParseAddr(gateway), Weight: weight}
	}
	a, b := hop("eth0", "10.0.1.1", 2), hop("eth1", "10.0.2.1", 1)
	s := Setup{Facts: plan.Facts{
		Rules: []plan.Rule{{Family: plan.IPv4, Priority: 32765, Action: plan.Lookup, Table: 250}},
		Routes: []plan.Route{
			{Family: plan.IPv4, Table: 250, Dst: plan.IPv4.Default(), Hops: []plan.NextHop{a, b}},
			{Family: plan.IPv6, Table: plan.TableMain, Dst: plan.IPv6.Default(), Hops: []plan.NextHop{hop("eth0", "fe80::1", 0)}},
		},
		Links:   map[string]plan.Link{"eth0": {}, "eth1": {}},
		Sysctls: map[string]string{},
	}}
	for policy, by := range map[string]string{"0": "balance: {by: addresses}", "1": ""} {
		s.Facts.Sysctls[plan.HashPolicy] = policy
		imported, err := Import(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"gateway: [fe80::1, 10.0.1.1]", "gateway: 10.0.2.1", "route: {eth0: 2, eth1: 1}", by} {
			if !strings.Contains(imported.Policy, want) || by == "" && strings.Contains(imported.Policy, "balance: {by") {
				t.Errorf("hash policy %s: no %q in\n%s", policy, want, imported.Policy)
			}
		}
	}
}

// TestNftInTablesOfIptables are rules that only nft shows, in a table with the name of
// one of iptables'.
func TestNftInTablesOfIptables(t *testing.T) {
	s := Setup{
		Facts: plan.Facts{
			Rules:  []plan.Rule{{Family: plan.IPv4, Priority: 90, Action: plan.Lookup, Table: 7, Mark: 5, Mask: 1<<32 - 1}},
			Routes: []plan.Route{{Family: plan.IPv4, Table: 7, Dst: plan.IPv4.Default(), Hops: []plan.NextHop{{Interface: "wwan0"}}}},
			Links:  map[string]plan.Link{"wwan0": {}},
		},
		Iptables: []filters.Saved{{Command: "iptables", Text: "# Table `mangle' is incompatible, use 'nft' tool.\n"}},
		Nft: []byte(`{"nftables": [{"chain": {"family": "ip", "table": "mangle", "name": "output", "type": "route", "hook": "output", "prio": -150}},
			{"rule": {"family": "ip", "table": "mangle", "chain": "output", "handle": 2, "expr": [{"match": {"op": "==", "left": {"meta": {"key": "skuid"}}, "right": 1000}}, {"mangle": {"key": {"meta": {"key": "mark"}}, "value": 5}}]}}]}`),
	}
	imported, err := Import(s)
	if err != nil || !strings.Contains(imported.Policy, "{uid: 1000, dst: 0.0.0.0/0}") {
		t.Errorf("%v: no class of the user in\n%s", err, imported.Policy)
	}
}
