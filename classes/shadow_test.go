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

func mustMatch(t *testing.T, text string) *Match {
	t.Helper()
	p, err := Parse("policy.yaml", []byte(inClass(text)))
	if err != nil {
		t.Fatal(err)
	}
	return &p.Classes[0].Matches[0]
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		e, m string
		want bool
	}{
		{"{cgroup: a}", "{cgroup: a}", true},
		{"{cgroup: a}", "{cgroup: a/b, uid: 1}", true},
		{"{cgroup: a/b}", "{cgroup: a}", false},
		{"{cgroup: a}", "{cgroup: ab}", false},
		{"{cgroup: a}", "{uid: 1}", false},
		{"{cgroup: [a, b]}", "{cgroup: [b/c, a]}", true},
		{"{cgroup: [a, b]}", "{cgroup: [b/c, d]}", false},
		{"{cgroup: 'a/db-*'}", "{cgroup: a/db-1/x}", true},
		{"{cgroup: 'a/*'}", "{cgroup: 'a/b?/c'}", true},
		{"{cgroup: 'a/db-*'}", "{cgroup: 'a/db-1*'}", false},
		{"{cgroup: 'a/db-*'}", "{cgroup: a}", false},
		{"{unit: 'db@*.service'}", "{unit: db@1.service}", true},
		{"{unit: db.service}", "{unit: {name: db.service, user: 7}}", false},
		{"{unit: {name: '*.service', user: a}}", "{unit: {name: db.service, user: a}}", true},
		{"{unit: db.service}", "{cgroup: system.slice/db.service}", false},
		{"{uid: 1}", "{unit: db.service, uid: 1}", true},
		{"{unit: db.service, uid: 1}", "{uid: 1}", false},
		{"{container: web}", "{container: {name: web, label: {a: b}}}", true},
		{"{container: 'web-*'}", "{container: web-1}", true},
		{"{container: {name: '*'}}", "{container: {label: {a: b}}}", true},
		{"{container: {label: {a: '*'}}}", "{container: {namespace: n, label: {a: b, c: d}}}", true},
		{"{container: {label: {a: b, c: d}}}", "{container: {label: {a: b}}}", false},
		{"{container: {namespace: n}}", "{container: web}", false},
		{"{container: web}", "{container: 'web*'}", false},
		{"{container: web}", "{cgroup: docker/web}", false},
		{"{container: x.service}", "{unit: x.service}", false},
		{"{container: web, uid: 1}", "{container: web}", false},
		{"{uid: [1-5, 6-9]}", "{uid: [2, 4-7]}", true},
		{"{uid: 1-5}", "{uid: 4-7}", false},
		{"{uid: [trader, 1]}", "{uid: trader}", true},
		{"{uid: 0-4294967294}", "{uid: trader}", false},
		{"{uid: 0-4294967294}", "{iif: br0}", false},
		{"{proto: [tcp, udp]}", "{proto: tcp, dport: 1}", true},
		{"{proto: tcp}", "{proto: [tcp, udp]}", false},
		{"{dport: 443}", "{proto: tcp, dport: 443}", true},
		{"{proto: tcp, dport: 443}", "{dport: 443}", false},
		{"{proto: [tcp, udp, sctp, udplite, dccp], dport: 443}", "{dport: 443}", true},
		{"{proto: [tcp, udp, sctp, udplite, dccp]}", "{sport: 1}", true},
		{"{proto: [tcp, udp, sctp, udplite, dccp]}", "{uid: 1}", false},
		{"{dport: 1-65535}", "{proto: tcp}", false},
		{"{dport: [1-9, 10-20]}", "{dport: 5-15}", true},
		{"{dport: [1-9, 11-20]}", "{dport: 5-15}", false},
		{"{dport: 80}", "{sport: 80}", false},
		{"{dst: 10.0.0.0/8}", "{dst: [10.1.0.0/16, 10.2.0.1]}", true},
		{"{dst: 10.0.0.0/8}", "{dst: [10.1.0.0/16, 11.0.0.1]}", false},
		{"{dst: 10.0.0.0/8}", "{src: 10.0.0.0/8}", false},
		{"{dst: 0.0.0.0/0}", "{dst: '::1'}", false},
		{"{dst: 0.0.0.0/0}", "{uid: 1}", false},
		{"{dst: 0.0.0.0/0}", "{src: 10.0.0.0/8}", true},
		{"{dst: [0.0.0.0/0, '::/0']}", "{uid: 1}", true},
		{"{src: 10.0.0.0/8}", "{src: [10.1.0.0/16, '2001:db8::/32'], dst: 192.0.2.1}", true},
		{"{iif: [a, b]}", "{iif: b}", true},
		{"{iif: a}", "{iif: [a, b]}", false},
	} {
		t.Run(c.e+" "+c.m, func(t *testing.T) {
			if got := covers(mustMatch(t, c.e), mustMatch(t, c.m)); got != c.want {
				t.Errorf("covers is %v, want %v", got, c.want)
			}
		})
	}
}

// TestShadowsEqualPlainSearch compares the index with comparing every match
// with every earlier one.
func TestShadowsEqualPlainSearch(t *testing.T) {
	total := 0
	for seed := range uint64(300) {
		r := dice{rand.New(rand.NewPCG(seed, 2))}
		matches := make([]*Match, 1+r.IntN(400))
		for i := range matches {
			matches[i] = r.smallMatch()
		}
		var want []shadow
		for i, m := range matches {
			if by := slices.IndexFunc(matches[:i], func(e *Match) bool { return covers(e, m) }); by >= 0 {
				want = append(want, shadow{i, by})
			}
		}
		if diff := cmp.Diff(want, findShadows(matches), cmp.AllowUnexported(shadow{})); diff != "" {
			t.Fatalf("seed %d (- plain, + index):\n%s", seed, diff)
		}
		total += len(want)
	}
	if total == 0 {
		t.Error("no shadows among the random matches")
	}
}

// TestShadowOfUnnamedProtocol has so many protocols that the index files by
// them, and a match that names none.
func TestShadowOfUnnamedProtocol(t *testing.T) {
	ports := []PortRange{{443, 443}}
	for name, c := range map[string]struct{ e, m Match }{
		"every one that has ports": {Match{Proto: portProtocols}, Match{Dport: ports}},
		"every one":                {Match{Proto: everyProtocol}, Match{UID: []User{{}}}},
	} {
		t.Run(name, func(t *testing.T) {
			var matches []*Match
			for p := range uint8(100) {
				matches = append(matches, &Match{Proto: []uint8{150 + p}})
			}
			matches = append(matches, &c.e, &c.m)
			want := []shadow{{101, 100}}
			if diff := cmp.Diff(want, findShadows(matches), cmp.AllowUnexported(shadow{})); diff != "" {
				t.Errorf("(- want, + got)\n%s", diff)
			}
		})
	}
}

// TestShadowedPacketsAreTaken throws packets at pairs of matches: where one
// covers the other, it takes every packet that the other takes.
func TestShadowedPacketsAreTaken(t *testing.T) {
	r := dice{rand.New(rand.NewPCG(3, 3))}
	covered, taken := 0, 0
	for range 200_000 {
		e, m := r.smallMatch(), r.smallMatch()
		if !covers(e, m) {
			continue
		}
		covered++
		for range 20 {
			if p := r.packet(); p.in(m) {
				taken++
				if !p.in(e) {
					t.Fatalf("%v is said to cover %v, but leaves %+v", e, m, p)
				}
			}
		}
	}
	if covered < 100 || taken < 100 {
		t.Errorf("%d pairs, %d packets: too few to show anything", covered, taken)
	}
}

// smallMatch names one to three fields with values from so small a world that
// many matches cover others.
func (r dice) smallMatch() *Match {
	for {
		var m Match
		for range 1 + r.IntN(3) {
			r.smallField(&m)
		}
		v4, v6 := m.families()
		if len(m.Sport)+len(m.Dport) > 0 {
			m.Proto = slices.DeleteFunc(m.Proto, func(p uint8) bool { return !hasPorts(p) })
		}
		if m.String() != "{}" && (v4 || v6) {
			return &m
		}
	}
}

func (r dice) smallField(m *Match) {
	most := 1 + r.IntN(6)
	switch r.IntN(8) {
	case 0:
		if m.Unit == nil && r.IntN(4) > 0 {
			m.Cgroup = append(some(r, 2, r.smallPath), r.smallPath())
		} else if m.Cgroup == nil {
			m.Unit = append(some(r, 2, r.smallUnit), r.smallUnit())
		}
	case 1:
		m.UID = append(some(r, most, r.smallUser), r.smallUser())
	case 2:
		m.Proto = append(some(r, most, r.smallProtocol), r.smallProtocol())
	case 3:
		m.Src = append(some(r, most, r.smallPrefix), r.smallPrefix())
	case 4:
		m.Dst = append(some(r, most, r.smallPrefix), r.smallPrefix())
	case 5:
		m.Sport = append(some(r, most, r.smallPorts), r.smallPorts())
	case 6:
		m.Dport = append(some(r, most, r.smallPorts), r.smallPorts())
	case 7:
		m.IIF = append(some(r, 1, r.smallName), r.smallName())
	}
}

func (r dice) smallPath() string {
	path := r.one("a", "b", "*", "?", "[ab]")
	for range r.IntN(3) {
		path += "/" + r.one("a", "b", "*", "[^c]", "u.slice")
	}
	return path
}

func (r dice) smallUnit() Unit { return Unit{Name: r.one("u.slice", "?.slice", "v.slice", "*.slice")} }

func (r dice) smallName() string { return r.one("a", "b", "c") }

func (r dice) smallProtocol() uint8 { return []uint8{6, 17, 132, 136, 33, 1, 0}[r.IntN(7)] }

func (r dice) smallUser() User {
	if r.IntN(4) == 0 {
		return User{Name: r.smallName()}
	}
	lo := uint32(r.IntN(40))
	return User{Lo: lo, Hi: lo + uint32(r.IntN(10))}
}

func (r dice) smallPorts() PortRange {
	lo := uint16(1 + r.IntN(40))
	return PortRange{lo, lo + uint16(r.IntN(20))}
}

func (r dice) smallAddr() netip.Addr {
	if r.IntN(2) == 0 {
		return netip.AddrFrom16([16]byte{byte(r.IntN(3) << 7), 15: byte(r.IntN(4))})
	}
	return netip.AddrFrom4([4]byte{byte(r.IntN(3) << 7), 3: byte(r.IntN(4))})
}

func (r dice) smallPrefix() netip.Prefix {
	a := r.smallAddr()
	return netip.PrefixFrom(a, []int{0, 0, 1, a.BitLen() - 1, a.BitLen()}[r.IntN(5)]).Masked()
}

// packet is a packet and its socket, if it has one.
type packet struct {
	local        bool
	cgroup, name string
	uid          uint32
	proto        uint8
	src, dst     netip.Addr
	sport, dport uint16
	iif          string
}

func (r dice) packet() packet {
	p := packet{local: r.IntN(2) == 0, proto: r.smallProtocol(), src: r.smallAddr(), dst: r.smallAddr(), iif: r.smallName()}
	for p.src.Is4() != p.dst.Is4() {
		p.dst = r.smallAddr()
	}
	if p.local {
		p.cgroup = fmt.Sprintf("%s/%s/a/b", r.one("a", "b", "c", "u.slice"), r.one("a", "b", "c", "u.slice", "v.slice"))
		p.name, p.uid = r.smallName(), uint32(r.IntN(50))
	}
	if hasPorts(p.proto) {
		p.sport, p.dport = uint16(r.IntN(60)), uint16(r.IntN(60))
	}
	return p
}

func (p packet) below(pattern string) bool {
	names := strings.Split(p.cgroup, "/")
	for i, want := range strings.Split(pattern, "/") {
		if ok, err := path.Match(want, names[min(i, len(names)-1)]); err != nil || !ok || i >= len(names) {
			return false
		}
	}
	return true
}

func (p packet) ofUnit(u Unit) bool {
	for name := range strings.SplitSeq(p.cgroup, "/") {
		if ok, err := path.Match(u.Name, name); ok && err == nil {
			return true
		}
		if !strings.HasSuffix(name, ".slice") {
			return false
		}
	}
	return false
}

// in says, as plainly as possible, whether m takes the packet.
func (p packet) in(m *Match) bool {
	inPrefix := func(a netip.Addr) func(netip.Prefix) bool { return func(x netip.Prefix) bool { return x.Contains(a) } }
	inPorts := func(n uint16) func(PortRange) bool {
		return func(x PortRange) bool { return hasPorts(p.proto) && x.Lo <= n && n <= x.Hi }
	}
	isUser := func(u User) bool {
		return p.local && (u.Name == p.name || u.Name == "" && u.Lo <= p.uid && p.uid <= u.Hi)
	}
	return (len(m.Cgroup) == 0 || slices.ContainsFunc(m.Cgroup, p.below)) &&
		(len(m.Unit) == 0 || slices.ContainsFunc(m.Unit, p.ofUnit)) &&
		(len(m.UID) == 0 || slices.ContainsFunc(m.UID, isUser)) &&
		(len(m.Proto) == 0 || slices.Contains(m.Proto, p.proto)) &&
		(len(m.Src) == 0 || slices.ContainsFunc(m.Src, inPrefix(p.src))) &&
		(len(m.Dst) == 0 || slices.ContainsFunc(m.Dst, inPrefix(p.dst))) &&
		(len(m.Sport) == 0 || slices.ContainsFunc(m.Sport, inPorts(p.sport))) &&
		(len(m.Dport) == 0 || slices.ContainsFunc(m.Dport, inPorts(p.dport))) &&
		(len(m.IIF) == 0 || slices.Contains(m.IIF, p.iif))
}
