// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/classes"
	"waymark/internal/match"
	"waymark/internal/plan"
)

const twoUplinks = `
uplinks:
  - {name: fiber, interface: eth0}
  - {name: lte, interface: wwan0}
`

// testHost has two ways out, fiber's the better one, and a LAN.
func testHost() *Host {
	h := &Host{CgroupRoot: "/sys/fs/cgroup", Facts: plan.Facts{Links: map[string]plan.Link{}, Users: map[string]uint32{"trader": 1999}, Sysctls: map[string]string{}, Arms: true}}
	for _, f := range plan.Families {
		for priority, table := range map[uint32]uint32{0: plan.TableLocal, 32766: plan.TableMain} {
			h.Facts.Rules = append(h.Facts.Rules, plan.Rule{Family: f, Priority: priority, Action: plan.Lookup, Table: table, Protocol: 2})
		}
	}
	for i, name := range []string{"eth0", "wwan0", "br0"} {
		link := plan.Link{Index: i + 2, Up: true, Carrier: true}
		for _, text := range []string{"10.0.%.2/24", "2001:db8:%::2/64"} {
			a := netip.MustParsePrefix(strings.ReplaceAll(text, "%", string(rune('1'+i))))
			link.Addresses = append(link.Addresses, a)
			h.route(a.Masked(), name, "", 0)
			if i < 2 {
				h.route(plan.FamilyOf(a.Addr()).Default(), name, a.Addr().Prev().String(), uint32(100*(i+1)))
			}
		}
		h.Facts.Links[name] = link
	}
	return h
}

func (h *Host) route(to netip.Prefix, device, gateway string, metric uint32) {
	hop := plan.NextHop{Interface: device}
	if gateway != "" {
		hop.Gateway = netip.MustParseAddr(gateway)
	}
	h.Facts.Routes = append(h.Facts.Routes, plan.Route{Family: plan.FamilyOf(to.Addr()), Table: plan.TableMain, Dst: to,
		Hops: []plan.NextHop{hop}, Metric: metric, Protocol: 4})
}

func parse(t *testing.T, text string) *classes.Policy {
	t.Helper()
	p, err := classes.Parse("policy.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (h *Host) plan(t *testing.T, text string) *plan.Plan {
	t.Helper()
	p, err := plan.Make(parse(t, text), h.Facts, h.Numbers, plan.Options{CgroupRoot: h.CgroupRoot})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func simulate(t *testing.T, h *Host, text string) []Check {
	t.Helper()
	checks, err := Simulate(parse(t, text), h)
	if err != nil {
		t.Fatal(err)
	}
	return checks
}

// answers are what was found, by the checks' names.
func answers(checks []Check, group string) map[string]string {
	found := map[string]string{}
	for _, c := range checks {
		if c.Group == group {
			found[c.Name] = c.Answer + strings.Join(c.Wrong, "")
		}
	}
	return found
}

func TestFailures(t *testing.T) {
	checks := simulate(t, testHost(), twoUplinks+`
classes:
  - {name: bulk, route: [lte, fiber], match: {cgroup: backup.slice}}
  - {name: exec, route: [fiber], otherwise: unreachable, match: {uid: trader}}
  - {name: both, route: {fiber: 3, lte: 1}, otherwise: blackhole, match: {uid: 7}}
  - {name: loose, route: [lte], match: {uid: 8}}
`)
	const byFiber, byLte = "via 10.0.1.1 dev eth0 from 10.0.1.2, table ", "via 10.0.2.1 dev wwan0 from 10.0.2.2, table "
	want := map[string]string{
		"fiber down: class bulk, IPv4": byLte + "7001", "lte down: class bulk, IPv4": byFiber + "7000", "fiber, lte down: class bulk, IPv4": "no route",
		"fiber down: class exec, IPv4": "unreachable", "lte down: class exec, IPv4": byFiber + "7000", "fiber, lte down: class exec, IPv4": "unreachable",
		"fiber down: class both, IPv4": byLte + "7002", "lte down: class both, IPv4": byFiber + "7002", "fiber, lte down: class both, IPv4": "blackhole",
		"fiber down: class loose, IPv4": byLte + "7001", "lte down: class loose, IPv4": byFiber + "main", "fiber, lte down: class loose, IPv4": "no route",
	}
	got := answers(checks, Failure)
	for name := range got {
		if strings.HasSuffix(name, "IPv6") {
			delete(got, name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := Failed(checks); n > 0 {
		t.Errorf("%d checks failed", n)
	}
}

// TestWrongPlans takes a rule away, puts others before, and sees it said.
func TestWrongPlans(t *testing.T) {
	const policy = twoUplinks + `
classes:
  - {name: exec, route: [lte], otherwise: unreachable, match: {uid: trader}}
`
	find := func(checks []Check, text string) bool {
		return slices.ContainsFunc(checks, func(c Check) bool { return strings.Contains(strings.Join(c.Wrong, "\n"), text) })
	}
	h := testHost()
	p := h.plan(t, policy)
	if wrong := Failed(Failures(p, h.Facts)); wrong > 0 {
		t.Fatalf("the right plan is said to be wrong: %d", wrong)
	}
	open := *p
	open.Rules = slices.DeleteFunc(slices.Clone(p.Rules), func(r plan.Rule) bool { return r.Action == plan.Unreachable })
	if !find(Failures(&open, h.Facts), "it leaves by eth0, though no uplink of its route works") {
		t.Error("a class that leaks is not found")
	}
	odd := *p
	odd.Routes = slices.DeleteFunc(slices.Clone(p.Routes), func(r plan.Route) bool { return r.Table == 7001 && r.IsDefault() })
	if !find(Failures(&odd, h.Facts), "it does not leave by uplink lte: ip -4 rule add") {
		t.Error("a table without its default route is not found")
	}
	h.Facts.Rules = append(h.Facts.Rules, plan.Rule{Family: plan.IPv4, Priority: 5, Action: plan.Lookup, Table: plan.TableMain, Protocol: 3})
	checks := simulate(t, h, policy)
	if !find(checks, "it leaves by eth0 and not by uplink lte: ip -4 rule add priority 5") {
		t.Errorf("a rule of others before ours is not found: %v", checks)
	}
	h.Facts.Rules = append(h.Facts.Rules, plan.Rule{Family: plan.IPv4, Priority: 900, Mark: 0x01000000, Mask: 0x0f000000, Action: plan.Lookup, Table: 5, Protocol: 3})
	if !find(simulate(t, h, policy), "belongs to") {
		t.Error("a rule of others on our bits is not found")
	}
}

// TestSamples makes a flow for lines of every kind, which it wins.
func TestSamples(t *testing.T) {
	h := testHost()
	p := h.plan(t, twoUplinks+`
classes:
  - name: one
    route: [fiber]
    match:
      - {dst: 203.0.113.0/28}
      - {cgroup: system.slice, proto: udp}
      - {proto: tcp, dport: 1-40000}
  - name: two
    route: [lte]
    match:
      - {dst: 203.0.113.0/24}
      - cgroup: "system.slice/[a-c]*@?.service"
      - {unit: "restic@*.service", uid: 5}
      - {unit: {name: "x*.service", user: trader}}
      - {proto: icmp}
      - {src: [198.51.100.7, "2001:db8::/32"], proto: tcp, dport: 1-65535}
      - {iif: br0}
`)
	seen := map[int]int{}
	for _, s := range Samples(p) {
		seen[s.Line]++
		if s.Lost != nil {
			t.Errorf("%s: %+v is lost to %s", s.Name(p), s.Flow, s.Lost.Text)
		}
	}
	if diff := cmp.Diff(map[int]int{0: 1, 1: 2, 2: 2, 3: 1, 4: 2, 5: 2, 6: 2, 7: 1, 8: 2, 9: 2}, seen); diff != "" {
		t.Error(diff)
	}
}

// TestLost has a line that two others before it cover together.
func TestLost(t *testing.T) {
	p := testHost().plan(t, twoUplinks+`
classes:
  - {name: one, route: [fiber], match: [{dst: 203.0.113.0/25}, {dst: 203.0.113.128/25}]}
  - {name: two, route: [lte], match: {dst: 203.0.113.0/24}}
`)
	for _, s := range Samples(p) {
		if (s.Lost != nil) != (s.Line == 2) {
			t.Errorf("%s: %+v lost to %v", s.Name(p), s.Flow, s.Lost)
		}
	}
}

func TestHostFile(t *testing.T) {
	h := testHost()
	h.Facts.Silent = map[plan.Family]bool{plan.IPv6: true}
	h.Facts.InUse = map[uint32]bool{7: true}
	h.Facts.Containers = []plan.Container{{ID: "x", Identity: classes.Identity{Name: "db"}, Cgroups: match.Path("a")}}
	h.Numbers = h.plan(t, twoUplinks+"classes:\n  - {name: one, route: [fiber], match: {uid: 1}}\n").Numbers
	text, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadHost(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{
		`{"apiVersion": "waymark/v1", "kind": "Host", "item": {"facts": {"lnks": {}}}}`: `unknown field "lnks"`,
		`{"apiVersion": "waymark/v9", "kind": "Host", "item": {}}`:                      "write it anew",
		`{"apiVersion": "waymark/v1", "kind": "Host", "item": {}} x`:                    "behind",
		`uplinks: []`: "no description",
	} {
		if _, err := ReadHost([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
