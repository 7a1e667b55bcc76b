// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// alike compares policies apart from positions.
var alike = cmp.Options{
	cmpopts.IgnoreTypes(Position{}),
	cmpopts.EquateEmpty(),
	cmpopts.IgnoreUnexported(Policy{}),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
}

func prefixes(texts ...string) (ps []netip.Prefix) {
	for _, t := range texts {
		ps = append(ps, netip.MustParsePrefix(t))
	}
	return ps
}

// TestParseDesign reads the policy of the design document, value by value.
func TestParseDesign(t *testing.T) {
	got, err := Load("testdata/design.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := &Policy{
		Mark:   Mark{Mask: 0xb7000000},
		Rules:  Rules{Base: 1000},
		Tables: Tables{Base: 7000}, Balance: Balance{By: SpreadFlow},
		Uplinks: []Uplink{
			{Name: "fiber", Interface: "eth0", Gateway: Gateway{Auto: true}},
			{Name: "lte", Interface: "wwan0", SNAT: true, Gateway: Gateway{
				Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fe80::1")},
			}},
		},
		Classes: []Class{
			{Name: "exec", Route: []Hop{{Uplink: "fiber"}}, Otherwise: OtherwiseUnreachable, Existing: FateKeep, Matches: []Match{
				{Cgroup: []string{"system.slice/exec.service"}},
				{UID: []User{{Name: "trader"}, {Lo: 2000, Hi: 2099}}},
			}},
			{Name: "bulk", Route: []Hop{{Uplink: "lte"}, {Uplink: "fiber"}}, Otherwise: OtherwiseMain, Existing: FateKeep, Matches: []Match{
				{Cgroup: []string{"backup.slice"}},
				{Proto: []uint8{6}, Dst: prefixes("203.0.113.0/24", "2001:db8::/32"), Dport: []PortRange{{873, 873}, {8000, 8100}}},
				{Cgroup: []string{"app.slice"}, Proto: []uint8{17}, Dport: []PortRange{{443, 443}}},
			}},
			{Name: "guests", Route: []Hop{{Uplink: "fiber", Weight: 3}, {Uplink: "lte", Weight: 1}}, Otherwise: OtherwiseMain, Existing: FateKeep, Matches: []Match{
				{IIF: []string{"br-guest"}},
				{Src: prefixes("192.168.1.100/32")},
			}},
		},
	}
	if diff := cmp.Diff(want, got, alike); diff != "" {
		t.Errorf("(- want, + got)\n%s", diff)
	}
	wantPos := Position{"testdata/design.yaml", 25, 9}
	if pos := got.Classes[1].Matches[1].Pos; pos != wantPos {
		t.Errorf("match at %v, want %v", pos, wantPos)
	}
}

// TestPrintDesign shows the canonical form.
func TestPrintDesign(t *testing.T) {
	p, err := Load("testdata/design.yaml")
	if err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "testdata/design.printed", p.String())
}

// inClass wraps the fields of a match in a policy.
func inClass(match string) string {
	return "uplinks: [{name: u, interface: eth0}]\nclasses: [{name: c, route: u, match: [" + match + "]}]\n"
}

func TestParseMatch(t *testing.T) {
	for text, want := range map[string]Match{
		"{cgroup: /app.slice//a/./b/}":            {Cgroup: []string{"app.slice/a/b"}},
		"{cgroup: my app.slice}":                  {Cgroup: []string{"my app.slice"}},
		`{cgroup: app.slice/app-a\x2db.scope}`:    {Cgroup: []string{`app.slice/app-a\x2db.scope`}},
		`{cgroup: "\u00fc/it's"}`:                 {Cgroup: []string{"ü/it's"}},
		"{uid: 0}":                                {UID: []User{{}}},
		"{uid: [Trader, _x, pc$, 7-4294967294]}":  {UID: []User{{Name: "Trader"}, {Name: "_x"}, {Name: "pc$"}, {Lo: 7, Hi: 4294967294}}},
		"{uid: 'true'}":                           {UID: []User{{Name: "true"}}},
		"{proto: [udplite, 0, 255, 0x06]}":        {Proto: []uint8{136, 0, 255, 6}},
		"{dst: 10.0.0.1}":                         {Dst: prefixes("10.0.0.1/32")},
		"{dst: [0.0.0.0/0, ::/0]}":                {Dst: prefixes("0.0.0.0/0", "::/0")},
		"{src: [fe80::/10, 2001:db8::]}":          {Src: prefixes("fe80::/10", "2001:db8::/128")},
		"{src: 2001:DB8::1}":                      {Src: prefixes("2001:db8::1/128")},
		"{sport: 1-65535, dport: [1, '2']}":       {Sport: []PortRange{{1, 65535}}, Dport: []PortRange{{1, 1}, {2, 2}}},
		"{iif: [br0, eth0.100]}":                  {IIF: []string{"br0", "eth0.100"}},
		"{dst: [10.0.0.0/8,\n    192.0.2.0/24 ]}": {Dst: prefixes("10.0.0.0/8", "192.0.2.0/24")},
	} {
		t.Run(text, func(t *testing.T) {
			p, err := Parse("policy.yaml", []byte(inClass(text)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, p.Classes[0].Matches[0], alike); diff != "" {
				t.Errorf("(- want, + got)\n%s", diff)
			}
		})
	}
}

func TestParseGateway(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1")
	for text, want := range map[string]Gateway{
		"":                                {Auto: true},
		", gateway: auto":                 {Auto: true},
		", gateway: none":                 {},
		", gateway: 192.0.2.1":            {Addresses: []netip.Addr{v4}},
		", gateway: fe80::1":              {Addresses: []netip.Addr{v6}},
		", gateway: [fe80::1, 192.0.2.1]": {Addresses: []netip.Addr{v6, v4}},
	} {
		t.Run(text, func(t *testing.T) {
			p, err := Parse("policy.yaml", []byte("uplinks: [{name: u, interface: eth0"+text+"}]\n"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, p.Uplinks[0].Gateway, alike); diff != "" {
				t.Errorf("(- want, + got)\n%s", diff)
			}
		})
	}
}

// TestParseYAML writes one policy in the ways YAML has for it.
func TestParseYAML(t *testing.T) {
	want, err := Parse("want.yaml", []byte(inClass("{dst: [10.0.0.0/8, 192.0.2.1]}, {uid: 3}")))
	if err != nil {
		t.Fatal(err)
	}
	block := "uplinks:\n- name: u\n  interface: eth0\nclasses:\n- name: c\n  route: u\n  match:\n  - dst:\n      - 10.0.0.0/8\n      - 192.0.2.1\n  - uid: 3\n"
	for name, text := range map[string]string{
		"block":          block,
		"windows":        "\ufeff" + strings.ReplaceAll(block, "\n", "\r\n"),
		"document marks": "---\n" + block + "...\n",
		"comments":       "# waymark\n\n" + block,
		"anchors":        "uplinks: [{name: &u u, interface: eth0}]\nclasses:\n  - name: c\n    route: *u\n    match: [{dst: [10.0.0.0/8, 192.0.2.1]}, &m {uid: 3}]\n",
		"quotes":         strings.NewReplacer("eth0", `"eth0"`, "10.0.0.0/8", "'10.0.0.0/8'", "uid", "'uid'").Replace(block),
		"complex keys":   strings.Replace(block, "  - uid: 3", "  - ? uid\n    : 3", 1),
		"a block scalar": strings.Replace(block, "name: u\n", "name: >-\n    u\n", 1),
		"json":           `{"uplinks":[{"name":"u","interface":"eth0"}],"classes":[{"name":"c","route":"u","match":[{"dst":["10.0.0.0/8","192.0.2.1"]},{"uid":3}]}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse("got.yaml", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, alike); diff != "" {
				t.Errorf("(- want, + got)\n%s", diff)
			}
		})
	}
}

func TestProtocol(t *testing.T) {
	for text, want := range map[string]uint8{"tcp": 6, "icmpv6": 58, "0": 0, "255": 255} {
		if got, err := Protocol(text); got != want || err != nil {
			t.Errorf("%s is %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "TCP", "256", "-1"} {
		if got, err := Protocol(text); err == nil {
			t.Errorf("%q is %d, want an error", text, got)
		}
	}
}

func TestNoClassesIsLegal(t *testing.T) {
	for _, text := range []string{"", "classes: []\n"} {
		if _, err := Parse("policy.yaml", []byte("uplinks: [{name: u, interface: eth0}]\n"+text)); err != nil {
			t.Error(err)
		}
	}
}

// FuzzParse proves that parsing never panics, and that what it takes is printed
// as a policy that parses to the same.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse("policy.yaml", []byte(text))
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error that says nothing")
			}
			return
		}
		samePrinted(t, p)
	})
}

func samePrinted(t *testing.T, p *Policy) {
	t.Helper()
	printed := p.String()
	again, err := Parse("printed.yaml", []byte(printed))
	if err != nil {
		t.Fatalf("printed as\n%s\nwhich does not parse: %v", printed, err)
	}
	if diff := cmp.Diff(p, again, alike); diff != "" {
		t.Fatalf("printed as\n%s\nwhich differs (- policy, + printed):\n%s", printed, diff)
	}
}

func TestProblemOfALaterStage(t *testing.T) {
	const file = "testdata/design.yaml"
	p, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pos := p.Classes[0].Matches[1].UID[0].Pos
	problem := p.Problem(pos, "this host has no user trader", "create it")
	if want := strings.Split(string(text), "\n")[pos.Line-1]; problem.Source != want {
		t.Errorf("the source line is %q, want %q", problem.Source, want)
	}
	want := "testdata/design.yaml:19:15: this host has no user trader\n" +
		"        - uid: [trader, 2000-2099]\n                ^\n  hint: create it"
	if got := problem.Error(); got != want {
		t.Errorf("printed as\n%s\nwant\n%s", got, want)
	}
}
