// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"waymark/bpf"
)

// policyText is a policy with uplinks a and b, and classes given as lines
// such as "one: [b]"; each has a match of its own.
func policyText(mask uint32, classes ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "mark: {mask: %#x}\nuplinks:\n  - {name: a, interface: eth0}\n  - {name: b, interface: eth1}\nclasses:\n", mask)
	for i, c := range classes {
		name, route, _ := strings.Cut(c, ": ")
		route = strings.Trim(route, "'")
		fmt.Fprintf(&b, "  - {name: %s, route: %s, match: {uid: %d}}\n", name, route, 1000+i)
	}
	return b.String()
}

func numbersOf(p *Plan) map[string]uint32 { return maps.Clone(p.Numbers.Classes) }

func TestAClassKeepsItsNumber(t *testing.T) {
	h := twoUplinks()
	first := h.make(t, policyText(0xff, "one: [a]", "two: [b]", "three: [a]"), Numbers{})
	want := numbersOf(first)

	t.Run("wherever it stands, and whoever comes beside it", func(t *testing.T) {
		p := h.make(t, policyText(0xff, "new: [a]", "three: [a]", "one: [a]", "other: '[b], otherwise: prohibit'", "two: [b]"), first.Numbers)
		for name, n := range want {
			if p.Numbers.Classes[name] != n {
				t.Errorf("class %s had number %d and has %d", name, n, p.Numbers.Classes[name])
			}
		}
	})
	t.Run("but not when its way is another", func(t *testing.T) {
		p := h.make(t, policyText(0xff, "one: [b]", "two: [b]", "three: [a]"), first.Numbers)
		taken := maps.Values(want)
		for n := range taken {
			if p.Numbers.Classes["one"] == n {
				t.Errorf("class one took number %d, which sockets may carry that go another way", n)
			}
		}
	})
	t.Run("nor under another mask", func(t *testing.T) {
		wide := h.make(t, policyText(0xff00, classNames(200, "[a]")...), Numbers{})
		narrow := h.make(t, policyText(0x30000, "c198: [a]", "c199: [a]"), wide.Numbers)
		checkNumbers(t, narrow, Numbers{}, nil)
	})
}

// classNames are classes c0, c1, ... with one route.
func classNames(n int, route string) (classes []string) {
	for i := range n {
		classes = append(classes, fmt.Sprintf("c%d: %s", i, route))
	}
	return classes
}

func TestAFreedNumberIsNotReused(t *testing.T) {
	h := twoUplinks()
	first := h.make(t, policyText(0xff, "gone: [a]", "stays: [b]"), Numbers{})
	number := first.Numbers.Classes["gone"]
	mark := first.Mask.Spread(number)

	without := h.make(t, policyText(0xff, "stays: [b]", "new: [a]"), first.Numbers)
	if got := without.Numbers.Classes["new"]; got == number {
		t.Errorf("number %d is given to another class by the plan that frees it", number)
	}

	h.InUse = map[uint32]bool{mark: true}
	carried := h.make(t, policyText(0xff, "stays: [b]"), first.Numbers)
	if v := carried.Resolve(h.Facts, Packet{Family: IPv4, Mark: mark}); v.Uplink != "a" {
		t.Errorf("a socket of the class that is gone leaves by uplink %q, want a as before", v.Uplink)
	}
	for range 5 {
		carried = h.make(t, policyText(0xff, "stays: [b]", "new: [a]", "newer: [a]", "newest: [b]"), carried.Numbers)
		for name, n := range carried.Numbers.Classes {
			if n == number {
				t.Errorf("number %d is given to class %s while a socket carries it", number, name)
			}
		}
	}

	h.InUse = nil
	free := h.make(t, policyText(0xff, "stays: [b]"), carried.Numbers)
	free = h.make(t, policyText(0xff, "stays: [b]"), free.Numbers)
	again := h.make(t, policyText(0xff, "stays: [b]", "later: [a]"), free.Numbers)
	if again.Numbers.Classes["later"] != number {
		t.Errorf("class later has number %d, want %d: nobody carries it any more", again.Numbers.Classes["later"], number)
	}
}

// TestBlocksGrowWithTheLogarithm adds classes one at a time, which is the
// worst there is for blocks.
func TestBlocksGrowWithTheLogarithm(t *testing.T) {
	h := twoUplinks()
	const classes = 250
	var names []string
	before := Numbers{}
	for i := range classes {
		names = append(names, fmt.Sprintf("a%d: [a]", i), fmt.Sprintf("b%d: [b, a]", i))
		p := h.make(t, policyText(0xfff, names...), before)
		checkNumbers(t, p, before, nil)
		before = p.Numbers
	}
	blocks := map[string]int{}
	for _, b := range before.Blocks {
		blocks[b.Way.String()]++
	}
	for way, n := range blocks {
		if n > 9 {
			t.Errorf("route %s has %d blocks for %d classes, want at most 9", way, n, classes)
		}
	}
}

func TestThousandClassesNeedFewRules(t *testing.T) {
	routes := []string{"[a]", "[b, a]", "{a: 1, b: 1}", "'[b], otherwise: unreachable'"}
	var classes []string
	for i := range 1000 {
		classes = append(classes, fmt.Sprintf("c%d: %s", i, routes[i%len(routes)]))
	}
	p := twoUplinks().make(t, policyText(0xfff00000, classes...), Numbers{})
	checkNumbers(t, p, Numbers{}, nil)
	count := map[Family]int{}
	for _, r := range p.Rules {
		count[r.Family]++
	}
	for _, f := range Families {
		if count[f] == 0 || count[f] > 64 {
			t.Errorf("%d %s rules, want at most 64", count[f], f)
		}
	}
}

func TestAFullMaskIsAnError(t *testing.T) {
	h := twoUplinks()
	first := h.make(t, policyText(0x7, classNames(7, "[a]")...), Numbers{})
	p, err := Make(parse(t, policyText(0x7, append(classNames(6, "[a]"), "other: [b]")...)), h.Facts, first.Numbers, Options{})
	if p != nil || err == nil {
		t.Fatalf("a plan, %v; want an error: all numbers are given away", err)
	}
	want := "number class other: the mask 0x7 has no free number left, and room for 0 of the 1 new classes of route [b]: widen `mark: {mask: ...}`, " +
		"or apply without the classes that go first, and with the new ones when no socket carries the old numbers"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The way that the message shows.
	less := h.make(t, policyText(0x7, classNames(6, "[a]")...), first.Numbers)
	if _, err := Make(parse(t, policyText(0x7, append(classNames(6, "[a]"), "other: [b]")...)), h.Facts, less.Numbers, Options{}); err != nil {
		t.Error(err)
	}
}

func TestTables(t *testing.T) {
	h := twoUplinks()
	withBase := func(base int, classes ...string) string {
		return fmt.Sprintf("tables: {base: %d}\n", base) + policyText(0xff, classes...)
	}
	first := h.make(t, withBase(7000, "one: {a: 1, b: 1}", "two: {a: 2, b: 1}"), Numbers{})
	if diff := cmp.Diff(map[string]uint32{"a": 7000, "b": 7001, "{a: 1, b: 1}": 7002, "{a: 2, b: 1}": 7003}, first.Numbers.Tables); diff != "" {
		t.Errorf("the first tables (-want +got):\n%s", diff)
	}
	t.Run("stay while they are wanted, and are given up then", func(t *testing.T) {
		p := h.make(t, withBase(7000, "two: {a: 2, b: 1}", "three: {a: 3, b: 1}"), first.Numbers)
		want := map[string]uint32{"a": 7000, "b": 7001, "{a: 2, b: 1}": 7003, "{a: 3, b: 1}": 7004}
		if diff := cmp.Diff(want, p.Numbers.Tables); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("stay while a socket's number leads there", func(t *testing.T) {
		h := twoUplinks()
		h.InUse = map[uint32]bool{first.Classes[0].Mark: true}
		p := h.make(t, withBase(7000, "two: {a: 2, b: 1}"), first.Numbers)
		if diff := cmp.Diff(first.Numbers.Tables, p.Numbers.Tables); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("move with their base, to none of the old", func(t *testing.T) {
		p := h.make(t, withBase(7001, "one: {a: 1, b: 1}", "two: {a: 2, b: 1}"), first.Numbers)
		for name, table := range p.Numbers.Tables {
			for old, taken := range first.Numbers.Tables {
				if table == taken {
					t.Errorf("table %d of %s becomes that of %s while its rules are still there", taken, old, name)
				}
			}
		}
	})
}

func TestUplinkNumbers(t *testing.T) {
	h := newHost()
	text := func(from, to int) string {
		var b strings.Builder
		b.WriteString("uplinks:\n")
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, "  - {name: u%d, interface: i%d}\n", i, i)
		}
		return b.String()
	}
	first := h.make(t, text(0, 40), Numbers{})
	second := h.make(t, text(20, 60), first.Numbers)
	if n := second.UplinkNamed("u20").Number; n != 20 {
		t.Errorf("u20 had number 20 and has %d", n)
	}
	if n := second.UplinkNamed("u40").Number; n != 40 {
		t.Errorf("u40 has number %d, want 40: the counts of those that are gone are not its own", n)
	}
	third := h.make(t, text(40, 80), second.Numbers)
	seen := map[int]string{}
	for _, u := range third.Uplinks {
		if other, twice := seen[u.Number]; twice || u.Number >= 64 {
			t.Errorf("uplink %s has number %d, which %q has too", u.Name, u.Number, other)
		}
		seen[u.Number] = u.Name
	}
	_, err := Make(parse(t, text(0, 65)), h.Facts, Numbers{}, Options{})
	if err == nil || !strings.HasPrefix(err.Error(), "policy.yaml:66:5: 65 uplinks: there is room for 64\n") {
		t.Errorf("65 uplinks: %v", err)
	}
}

// TestTheLongestRouteFitsItsRung has two routes of as many uplinks as there is
// room for.
func TestTheLongestRouteFitsItsRung(t *testing.T) {
	var b strings.Builder
	b.WriteString("uplinks:\n")
	var names []string
	for i := range int(bpf.WaymarkLimitsMAX_ROUTE) {
		names = append(names, fmt.Sprintf("u%d", i))
		fmt.Fprintf(&b, "  - {name: u%d, interface: i%d}\n", i, i)
	}
	b.WriteString("classes:\n")
	for i := range 2 {
		fmt.Fprintf(&b, "  - {name: c%d, route: [%s], otherwise: prohibit, match: {uid: %d}}\n", i, strings.Join(names, ", "), i)
		slices.Reverse(names)
	}
	p := newHost().make(t, b.String(), Numbers{})
	checkPlan(t, p)
	if len(p.Rules) != 2*2*10 {
		t.Errorf("%d rules, want 10 for each class and family", len(p.Rules))
	}
	text := strings.Replace(b.String(), "[u0, ", "[more, u0, ", 1)
	_, err := Make(parse(t, strings.Replace(text, "classes:", "  - {name: more, interface: more}\nclasses:", 1)), newHost().Facts, Numbers{}, Options{})
	if err == nil || !strings.HasPrefix(err.Error(), "policy.yaml:12:23: a route of 9 uplinks: there is room for 8\n") {
		t.Errorf("a route of 9: %v", err)
	}
}

// checkNumbers fails the test if a plan's classes do not each have a number
// of their own, in a block of their way; or one that another class had
// before, or that an open socket carries.
func checkNumbers(t testing.TB, p *Plan, before Numbers, inUse map[uint32]bool) {
	t.Helper()
	owners := map[uint32]string{}
	for name, n := range before.Classes {
		if before.Mask == p.Mask {
			owners[n] = name
		}
	}
	for mark := range inUse {
		if n := p.Mask.Gather(mark); n != 0 && owners[n] == "" {
			owners[n] = "a socket"
		}
	}
	seen := map[uint32]string{}
	for _, c := range p.Classes {
		switch owner, had := owners[c.Number]; {
		case c.Number == 0 || c.Number > p.Mask.Highest() || c.Mark != p.Mask.Spread(c.Number):
			t.Errorf("class %s has number %d and mark %#x under mask %s", c.Name, c.Number, c.Mark, p.Mask)
		case seen[c.Number] != "":
			t.Errorf("classes %s and %s have number %d", seen[c.Number], c.Name, c.Number)
		case had && owner != c.Name:
			t.Errorf("class %s has number %d, which %s carries", c.Name, c.Number, owner)
		}
		seen[c.Number] = c.Name
		blocks := 0
		for _, b := range p.Blocks {
			if b.contains(c.Number) {
				blocks++
				if b.Way.String() != c.Route.String() {
					t.Errorf("class %s of route %s is in a block of route %s", c.Name, c.Route, b.Way)
				}
			}
		}
		if blocks != 1 {
			t.Errorf("class %s is in %d blocks", c.Name, blocks)
		}
	}
	end := uint32(1)
	for _, b := range p.Blocks {
		if b.First < end || b.Size == 0 || b.Size&(b.Size-1) != 0 || b.First%b.Size != 0 || b.First+b.Size-1 > p.Mask.Highest() {
			t.Errorf("block %d+%d after %d under mask %s", b.First, b.Size, end, p.Mask)
		}
		end = b.First + b.Size
	}
}
