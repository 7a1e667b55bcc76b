// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"waymark/classes"
)

// dice makes choices of a fuzzer's bytes; when they are used up it chooses
// the first.
type dice struct {
	bytes []byte
}

// roll is a number from 0 to n-1.
func (d *dice) roll(n int) int {
	if len(d.bytes) == 0 {
		return 0
	}
	b := d.bytes[0]
	d.bytes = d.bytes[1:]
	return int(b) % n
}

func choose[T any](d *dice, from ...T) T { return from[d.roll(len(from))] }

var (
	fuzzInterfaces = []string{"eth0", "eth1", "ppp0", "br0"}
	fuzzAddresses  = []string{"10.0.1.2/24", "10.0.2.2/24", "10.0.1.3/24", "192.0.2.1/32", "2001:db8:1::2/64", "2001:db8:1::3/64", "2001:db8:2::2/56", "2001:db8:3::1/128", "0.0.0.0/0"}
	fuzzGateways   = []string{"10.0.1.1", "10.0.2.1", "172.16.0.1", "fe80::1", "2001:db8:1::1", "2001:db8:9::1"}
)

// policy is the text of a policy, which may be wrong.
func (d *dice) policy() string {
	var b strings.Builder
	fmt.Fprintf(&b, "mark: {mask: %#x}\nrules: {base: %d}\ntables: {base: %d}\nuplinks:\n",
		choose(d, uint32(0xb7000000), 0x7, 0xff, 0x80000005, 1<<32-1), choose(d, 1000, 1, 31990, 32000), choose(d, 7000, 7001, 1, 1<<31-9))
	uplinks := 1 + d.roll(3)
	for i := range uplinks {
		fmt.Fprintf(&b, "  - {name: u%d, interface: %s, gateway: %s, strict: %v}\n", i, fuzzInterfaces[i],
			choose(d, "auto", "none", "10.0.1.1", "[10.0.2.1, fe80::1]", "2001:db8:1::1"), choose(d, false, true))
	}
	n := d.roll(8)
	if n == 0 {
		return b.String()
	}
	b.WriteString("classes:\n")
	matches := []string{"uid: [trader, 70]", "src: 10.0.1.2", "src: ['2001:db8:1::/64', 10.0.0.0/16]", "src: '2001::/16'", "iif: br0, src: 192.0.2.0/24",
		"proto: udp, dst: 10.9.0.0/16, dport: 53-99", "cgroup: late, sport: 7", "uid: 1", "src: 0.0.0.0/0"}
	for i := range n {
		name := func() string { return fmt.Sprintf("u%d", d.roll(uplinks)) }
		first, second := name(), fmt.Sprintf("u%d", uplinks-1)
		if first == second {
			second = "u0"
		}
		list, balance := first+", "+second, first+": 255, "+second+": 1"
		if first == second {
			list, balance = first, first+": 9"
		}
		m := d.roll(len(matches) - 1) // the last takes all that some others do
		if i == n-1 && d.roll(2) == 0 {
			m = len(matches) - 1
		}
		fmt.Fprintf(&b, "  - {name: %s%d, route: %s, otherwise: %s, strict: %v, match: [{cgroup: c%d}, {%s}]}\n", choose(d, "c", "d"), i,
			choose(d, first, "{"+first+": 2}", "["+list+"]", "{"+balance+"}"),
			choose(d, "main", "unreachable", "prohibit", "blackhole"), choose(d, false, true), i,
			matches[m])
		matches = slices.Delete(matches, m, m+1)
	}
	return b.String()
}

// facts are a host that may be as odd as the kernel lets it be.
func (d *dice) facts() Facts {
	h := newHost()
	h.Users["trader"] = 99
	for _, name := range fuzzInterfaces[:d.roll(len(fuzzInterfaces)+1)] {
		var addresses []string
		for range d.roll(4) {
			addresses = append(addresses, choose(d, fuzzAddresses...))
		}
		h.link(name, addresses...)
		h.change(name, func(l *Link) {
			l.Up, l.Carrier, l.PointToPoint = d.roll(4) > 0, d.roll(4) > 0, d.roll(4) == 0
		})
	}
	for range d.roll(6) {
		r := h.route(choose(d, fuzzInterfaces...), choose(d, append(fuzzGateways, "")...), uint32(d.roll(3)))
		r.Table = choose(d, uint32(TableMain), TableMain, 7000, 7001, 300)
		r.Protocol = choose(d, uint8(4), 2, Protocol)
		switch d.roll(5) {
		case 0:
			r.Hops = nil
		case 1:
			r.Hops = append(r.Hops, NextHop{Interface: "eth1", Weight: 2})
		case 2:
			r.Source = netip.MustParsePrefix(choose(d, fuzzAddresses[0], fuzzAddresses[5])).Addr()
		}
	}
	for range d.roll(4) {
		h.Rules = append(h.Rules, Rule{Family: choose(d, Families...), Priority: uint32(d.roll(256) * 8), Mark: uint32(d.roll(256)) << 24,
			Mask: choose(d, 0, uint32(0xff000000), 1<<32-1, 1), Action: choose(d, Lookup, Unreachable, "goto", "nop"), Table: choose(d, uint32(TableMain), 7000, 300),
			Protocol: choose(d, uint8(0), 2, Protocol), Other: choose(d, "", "", "iif lo")})
	}
	h.InUse = map[uint32]bool{}
	for range d.roll(6) {
		h.InUse[uint32(d.roll(256))<<24|uint32(d.roll(256))] = true
	}
	return h.Facts
}

// FuzzMake plans two policies on two states of a host, one after the other.
func FuzzMake(f *testing.F) {
	f.Add([]byte{})
	for seed := range 40 {
		var b []byte
		for i := range 300 {
			b = append(b, byte(i*i*(seed+3)+seed*7+i/3))
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) { planTwice(t, data) })
}

// TestMakeOnRandomHosts does the same for bytes that no fuzzer thought of.
func TestMakeOnRandomHosts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	plans := 0
	for range 1000 {
		data := make([]byte, 400)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		plans += planTwice(t, data)
		if t.Failed() {
			t.Fatalf("with the bytes %q", data)
		}
	}
	if plans < 1000 {
		t.Errorf("%d plans of 2000: too few to show anything", plans)
	}
}

// planTwice plans two policies on two states of a host, one after the other,
// and returns how many plans that gave.
func planTwice(t *testing.T, data []byte) (plans int) {
	t.Helper()
	d := &dice{data}
	var before Numbers
	for range 2 {
		policy, err := classes.Parse("policy.yaml", []byte(d.policy()))
		if err != nil {
			return plans
		}
		facts := d.facts()
		p, _ := Make(policy, facts, before, Options{CgroupRoot: "/cg"})
		if p == nil {
			return plans // the numbers or the priorities are used up
		}
		plans++
		checkPlan(t, p)
		checkNumbers(t, p, before, facts.InUse)
		for _, family := range Families {
			for _, c := range append(p.Classes, Class{}) {
				p.Resolve(facts, Packet{Family: family, Mark: c.Mark})
			}
		}
		before = p.Numbers
	}
	return plans
}

// checkPlan fails the test if the loader, or an administrator, could not
// carry a plan out.
func checkPlan(t *testing.T, p *Plan) {
	t.Helper()
	rules := map[Rule]bool{}
	for i, r := range p.Rules {
		if i > 0 && p.Rules[i-1].Family == r.Family && p.Rules[i-1].Priority >= r.Priority || i > 0 && p.Rules[i-1].Family > r.Family {
			t.Errorf("%s comes after %s", r, p.Rules[i-1])
		}
		switch {
		case rules[r.Key()]:
			t.Errorf("%s is there twice", r)
		case r.Priority == 0 || r.Priority > lastPriority:
			t.Errorf("%s is not before main's", r)
		case r.Protocol != Protocol, r.Other != "", r.Mark&^r.Mask != 0, r.Mask&^uint32(p.Mask) != 0:
			t.Errorf("%s is not one that we write", r)
		case (r.Action == Lookup) != (r.Table != 0), r.Suppress && r.Table != TableMain:
			t.Errorf("%s leads nowhere", r)
		case r.From.IsValid() && (r.From.Bits() == 0 || r.From != r.From.Masked() || FamilyOf(r.From.Addr()) != r.Family):
			t.Errorf("%s has a source that the kernel does not give back", r)
		}
		rules[r.Key()] = true
	}
	checkRoutes(t, p)
	if !p.Diff(holding(p)).Empty() {
		t.Error("a kernel that holds the plan differs from it")
	}
	if err := p.Print(io.Discard); err != nil {
		t.Error(err)
	}
	if _, err := json.Marshal(p); err != nil {
		t.Error(err)
	}
}

func checkRoutes(t *testing.T, p *Plan) {
	t.Helper()
	tables := map[uint32]string{TableMain: "main", TableLocal: "local", TableDefault: "default"}
	for name, table := range p.Numbers.Tables {
		if tables[table] != "" || table == 0 {
			t.Errorf("table %d of %s is that of %q", table, name, tables[table])
		}
		tables[table] = name
	}
	for i, r := range p.Routes {
		for _, o := range p.Routes[:i] {
			if samePlace(o, r) {
				t.Errorf("%s takes the place of %s", r, o)
			}
		}
		if r.Protocol != Protocol || len(r.Hops) == 0 || tables[r.Table] == "" || r.Table == TableMain || FamilyOf(r.Dst.Addr()) != r.Family || r.Down {
			t.Errorf("%s is not one that we write", r)
		}
		for _, h := range r.Hops {
			if h.Interface == "" || h.Gateway.IsValid() && FamilyOf(h.Gateway) != r.Family || (h.Weight > 0) != (len(r.Hops) > 1) {
				t.Errorf("%s has a bad next hop", r)
			}
		}
	}
	for _, r := range p.Rules {
		if r.Action == Lookup && tables[r.Table] == "" {
			t.Errorf("%s looks in a table that is nobody's", r)
		}
	}
}
