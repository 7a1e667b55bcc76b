// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPrintParse prints random policies and parses them again.
func TestPrintParse(t *testing.T) {
	for seed := range uint64(300) {
		r := dice{rand.New(rand.NewPCG(seed, 1))}
		p := r.policy()
		printed := p.String()
		if _, problems := readYAML(newSource("printed.yaml", []byte(printed))); problems != nil {
			t.Fatalf("seed %d: the YAML library refuses\n%s\n%v", seed, printed, problems)
		}
		samePrinted(t, p)
	}
}

// dice makes random policies.
type dice struct{ *rand.Rand }

func (r dice) one(words ...string) string { return words[r.IntN(len(words))] }

func some[T any](r dice, most int, value func() T) (list []T) {
	for range r.IntN(most + 1) {
		list = append(list, value())
	}
	return list
}

func (r dice) policy() *Policy {
	p := &Policy{
		Mark:   Mark{Mask: 0xff0000ff &^ (1 << r.IntN(8))},
		Rules:  Rules{Base: 1 + r.IntN(32000)},
		Tables: Tables{Base: 256 + r.IntN(1<<20)}, Balance: Balance{By: []Spread{SpreadFlow, SpreadAddresses}[r.IntN(2)]},
	}
	p.Runtimes.Sockets = some(r, 2, func() string { return r.one("/run/docker.sock", "/run/a b/x", "/é'") })
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::")
	for i := range 1 + r.IntN(4) {
		u := Uplink{Name: fmt.Sprintf("%s%d", r.one("fiber", "0x", "1e", "a-b_c."), i), Interface: fmt.Sprintf("%s%d", r.one("eth", "wwan0.", "-", "ü", "'"), i)}
		if r.IntN(3) == 0 {
			u.SNATTo = [][]AddressRange{{{v4, v4}}, {{v6, v6.Next()}}, {{v4, v4.Next()}, {v6, v6}}}[r.IntN(3)]
		}
		u.SNAT, u.Strict, u.Lopsided = u.SNATTo != nil || r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0
		if u.Gateway.Auto = r.IntN(2) == 0; !u.Gateway.Auto {
			u.Gateway.Addresses = [][]netip.Addr{nil, {v4}, {v6}, {v4, v6}, {v6, v4}}[r.IntN(5)]
		}
		p.Uplinks = append(p.Uplinks, u)
	}
	for i := range r.IntN(6) {
		c := Class{
			Name:      fmt.Sprintf("%s%d", r.one("bulk", "null.", "0", "true-"), i),
			Otherwise: Otherwise(r.one("main", "unreachable", "prohibit", "blackhole")),
			Existing:  Fate(r.one("keep", "move", "reset")),
			Strict:    r.IntN(2) == 0,
			Matches:   []Match{r.match()},
		}
		c.Matches = append(c.Matches, some(r, 4, r.match)...)
		weight := r.IntN(2) * (1 + r.IntN(255))
		for _, u := range p.Uplinks[r.IntN(len(p.Uplinks)):] {
			c.Route = append(c.Route, Hop{Uplink: u.Name, Weight: weight})
		}
		p.Classes = append(p.Classes, c)
	}
	p.dropShadows()
	return p
}

// dropShadows makes p a policy that parses.
func (p *Policy) dropShadows() {
	var before []Match
	for i := range p.Classes {
		c := &p.Classes[i]
		c.Matches = slices.DeleteFunc(c.Matches, func(m Match) bool {
			v4, v6 := m.families()
			if !v4 && !v6 || slices.ContainsFunc(before, func(e Match) bool { return covers(&e, &m) }) {
				return true
			}
			before = append(before, m)
			return false
		})
	}
	p.Classes = slices.DeleteFunc(p.Classes, func(c Class) bool { return len(c.Matches) == 0 })
}

// match names at least its cgroup, a new one each time.
func (r dice) match() Match {
	name := func() string {
		return r.one("app.slice", "my app", "it's", `a\x2db`, "- a", "a: b", "#a", "a #b", "&a", "*", "{a}", "ü", `"a"`, " a ", "true", "~", "0") + fmt.Sprint(r.IntN(1<<30))
	}
	path := func() string {
		return strings.TrimPrefix(path.Clean("/"+strings.Join(append(some(r, 3, name), name()), "/")), "/")
	}
	var m Match
	if r.IntN(4) == 0 {
		m.Container = append(some(r, 2, r.container), r.container())
	} else if r.IntN(3) > 0 {
		m.Cgroup = append(some(r, 2, path), path())
	} else {
		m.Unit = append(some(r, 2, r.unit), r.unit())
	}
	m.UID = some(r, 3, func() User {
		if r.IntN(2) == 0 {
			return User{Name: r.one("trader", "null", "true", "Yes", "_a-b", "pc$")}
		}
		lo := r.Uint32N(1 << 31)
		return User{Lo: lo, Hi: lo + r.Uint32N(2)*r.Uint32N(1<<31)}
	})
	m.Src, m.Dst = some(r, 3, r.prefix), some(r, 3, r.prefix)
	if m.Proto = some(r, 3, func() uint8 { return uint8(r.IntN(256)) }); !slices.ContainsFunc(m.Proto, func(p uint8) bool { return !hasPorts(p) }) {
		m.Sport, m.Dport = some(r, 3, r.ports), some(r, 3, r.ports)
	}
	m.IIF = some(r, 2, func() string { return r.one("br0", "null", "~", "eth0.1", "a,b") })
	return m
}

func (r dice) unit() Unit {
	u := Unit{Name: fmt.Sprintf("%s%d%s", r.one("db", "db@", "*-", "[a-c]", "#", "'", `a\x2d`), r.IntN(1<<30), r.one(".service", "*.slice", ".scope"))}
	if r.IntN(3) == 0 {
		lo := r.Uint32N(1 << 31)
		u.User = &User{Lo: lo, Hi: lo}
	} else if r.IntN(2) == 0 {
		u.User = &User{Name: r.one("trader", "null", "pc$")}
	}
	return u
}

// container has a name, a namespace or labels, a new one each time.
func (r dice) container() Container {
	c := Container{Labels: map[string]string{}}
	if r.IntN(2) == 0 {
		c.Name = fmt.Sprintf("%s%d", r.one("db", "web-*", "'", "[a-c]", "_", "ü"), r.IntN(1<<30))
	}
	if r.IntN(3) == 0 {
		c.Namespace = r.one("shop", "team-*", "null", "7")
	}
	if r.IntN(3) == 0 {
		c.Pod = r.one("web-0", "db-*", "null", "7")
	}
	for range r.IntN(3) {
		c.Labels[r.one("tier", "com.docker.compose.service", "app.kubernetes.io/name", "a b", "'", "null")] = r.one("", "bulk", "true", "a: b", "x/y", "*", "7", "#")
	}
	if c.Name+c.Pod+c.Namespace == "" {
		c.Labels["id"] = fmt.Sprint(r.IntN(1 << 30))
	}
	if len(c.Labels) == 0 {
		c.Labels = nil
	}
	return c
}

func (r dice) ports() PortRange {
	lo := uint16(1 + r.IntN(60000))
	return PortRange{lo, lo + uint16(r.IntN(2)*r.IntN(5000))}
}

func (r dice) prefix() netip.Prefix {
	a := netip.AddrFrom4([4]byte{byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256))})
	if r.IntN(2) == 0 {
		a = netip.AddrFrom16([16]byte{0x20, byte(r.IntN(256)), 0xd, byte(r.IntN(256)), 15: byte(r.IntN(256))})
	}
	return netip.PrefixFrom(a, r.IntN(a.BitLen()+1)).Masked()
}

// TestPrintMoves prints moves of every kind, and reads them again.
func TestPrintMoves(t *testing.T) {
	const base = "uplinks: [{name: fiber, interface: eth0}]\nclasses: [{name: bulk, route: [fiber], match: [{uid: 1}]}]\n"
	moves := []Move{
		{Match: Match{Cgroup: []string{"system.slice/a b.service"}}, To: "bulk", Existing: FateMove},
		{Match: Match{UID: []User{{Name: "trader"}, {Lo: 7, Hi: 9}}}, To: Unclassed},
		{From: "bulk", To: Unclassed, Existing: FateReset},
		{Match: Match{Container: []Container{{Name: "db"}}}, To: "bulk"},
		{Match: Match{Container: []Container{{Namespace: "shop", Labels: map[string]string{"app": "web"}}}}, To: "bulk"},
	}
	subjects := []string{"system.slice/a b.service", "uid:[trader, 7-9]", "class:bulk", "container:db", "container:{namespace: shop, label: {app: web}}"}
	for i, m := range moves {
		p, err := ParseFiles(File{"policy.yaml", base}, File{"policy.d/move.yaml", m.DropIn("by somebody")})
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		if diff := cmp.Diff([]Move{m}, p.Moves, alike); diff != "" {
			t.Errorf("%s (-want +got):\n%s", m, diff)
		}
		samePrinted(t, p)
		if got := p.Moves[0].Subject(); got != subjects[i] {
			t.Errorf("the subject is %q, want %q", got, subjects[i])
		}
	}
}
