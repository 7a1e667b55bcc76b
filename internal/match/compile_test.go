// SPDX-License-Identifier: Apache-2.0

package match

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"testing"

	"waymark/bpf"
)

// reader walks a table as bpf/search.h does, but plainly: it asks of every
// match in turn whether all sets hold it.
type reader struct {
	t     *testing.T
	table *Table
}

func (r reader) half(cell, i uint32) uint32 {
	return uint32(r.table.Cells[cell].Word[i/2] >> (32 * (i % 2)))
}

func (r reader) header() (h bpf.WaymarkTableHeader) {
	var raw [64]byte
	for i, w := range r.table.Cells[0].Word {
		binary.NativeEndian.PutUint64(raw[8*i:], w)
	}
	if _, err := binary.Decode(raw[:], binary.NativeEndian, &h); err != nil {
		r.t.Fatal(err)
	}
	return h
}

func (r reader) find(root uint32, value ...uint32) uint32 {
	for word := 0; ; {
		entry := r.table.Cells[root].Word[0]
		for _, e := range r.table.Cells[root].Word {
			if e>>32 <= uint64(value[word]) {
				entry = e
			}
		}
		ref := uint32(entry) &^ (3 << 30)
		switch bpf.WaymarkRefKind(uint32(entry) >> 30) {
		case bpf.WaymarkRefKindREF_SET:
			return ref
		case bpf.WaymarkRefKindREF_NEXT:
			word++
		}
		root = ref
	}
}

func (r reader) has(ref uint32, depth, match int) bool {
	width := 64
	for range depth {
		width *= nodeChildren
	}
	for ; depth > 0; depth-- {
		width /= nodeChildren
		child := match / width
		if r.half(ref, 0)>>child&1 == 0 {
			return false
		}
		ref, match = r.half(ref, uint32(child)+1), match%width
	}
	return r.table.Cells[ref/8].Word[ref%8]>>match&1 == 1
}

func (r reader) sets(f Flow) []uint32 {
	h := r.header()
	cgroup, walk := h.NoCgroup, r.table.Walk()
	for _, name := range split(f.Cgroup) {
		var set uint32
		if walk, set = walk.Enter(name); set != 0 {
			cgroup = set
		}
	}
	src, dst := h.NoSrc, h.NoDst
	if f.Src.IsValid() {
		six := uint32(0)
		if f.Src.Is6() {
			six = 1
		}
		src, dst = r.find(h.Addresses[six][0], words(f.Src)...), r.find(h.Addresses[six][1], words(f.Dst)...)
	}
	all := []uint32{cgroup, r.find(h.Uid, f.UID), r.find(h.Proto, f.Proto), src, dst,
		r.find(h.Ports[0], f.Sport), r.find(h.Ports[1], f.Dport), r.find(h.Iif, f.IIF)}
	var used []uint32
	for field, ref := range all {
		if h.Fields>>field&1 == 1 {
			used = append(used, ref)
		}
	}
	return used
}

func words(a netip.Addr) (w []uint32) {
	for b := a.AsSlice(); len(b) > 0; b = b[4:] {
		w = append(w, binary.BigEndian.Uint32(b))
	}
	return w
}

func (r reader) first(f Flow, matches int) (int, bool) {
	sets, h := r.sets(f), r.header()
	if decided := uint32(bpf.WaymarkRefKindSET_DECIDED); h.Fields&(1<<bpf.WaymarkFieldFIELD_CGROUP) != 0 && sets[0]&decided != 0 {
		return int(sets[0] &^ decided), true
	}
	for i := range matches {
		holds := true
		for _, s := range sets {
			holds = holds && r.has(s, int(h.Depth), i)
		}
		if holds {
			return i, true
		}
	}
	return 0, false
}

func TestCompiledTableAnswersLikeTheList(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 63, 64, 65, 300, 961, 2000} {
		matches := make([]Match, n)
		for i := range matches {
			for matches[i].fields() < 1+bits.Len(uint(n))/4 {
				matches[i] = randomMatch(r)
			}
		}
		table, err := Compile(matches, make([]uint32, n), Root{})
		if err != nil {
			t.Fatal(err)
		}
		wins := 0
		for range 300 {
			f := randomFlow(r)
			want, ok := First(matches, f)
			got, found := reader{t, table}.first(f, n)
			if got != want || found != ok {
				t.Fatalf("%d matches, flow %+v: table says %d %v, list %d %v", n, f, got, found, want, ok)
			}
			if ok {
				wins++
			}
		}
		if n > 60 && wins < 20 {
			t.Errorf("%d matches: only %d of 300 flows matched; the test says little", n, wins)
		}
	}
}

func (m *Match) fields() (n int) {
	for _, named := range []bool{m.Cgroup != nil, m.UID != nil, m.Proto != nil, m.Src != nil, m.Dst != nil,
		m.Sport != nil, m.Dport != nil, m.IIF != nil} {
		if named {
			n++
		}
	}
	return n
}

// TestCgroupDecides has lines that name a cgroup and nothing else win without
// a search, unless a line before them could hold.
func TestCgroupDecides(t *testing.T) {
	app, udp := Match{Cgroup: Path("app.slice")}, Match{Proto: []Range{{17, 17}}}
	both := Match{Cgroup: app.Cgroup, Proto: udp.Proto}
	for _, c := range []struct {
		name    string
		matches []Match
		inside  bool // the cgroup alone decides in app.slice
		outside bool // and elsewhere
	}{
		{"alone", []Match{app}, true, false},
		{"before", []Match{app, udp}, true, false},
		{"behind", []Match{udp, app}, false, false},
		{"behind one of its own", []Match{both, app}, false, false},
		{"before one of its own", []Match{app, both}, true, false},
		{"before everything", []Match{app, {}}, true, true},
		{"behind everything", []Match{{}, app}, true, true},
	} {
		table, err := Compile(c.matches, make([]uint32, len(c.matches)), Root{})
		if err != nil {
			t.Fatal(err)
		}
		decided := func(set uint32) bool { return set&uint32(bpf.WaymarkRefKindSET_DECIDED) != 0 }
		_, set := table.Walk().Enter("app.slice")
		if none := (reader{t, table}).header().NoCgroup; decided(set) != c.inside || decided(none) != c.outside {
			t.Errorf("%s: decided inside %v, elsewhere %v; want %v, %v", c.name, decided(set), decided(none), c.inside, c.outside)
		}
	}
}

func TestCompileRefusesMoreThanATableHolds(t *testing.T) {
	if _, err := Compile(make([]Match, Most+1), nil, Root{}); err == nil {
		t.Fatal("no error")
	}
}

func TestEqualPartsAreStoredOnce(t *testing.T) {
	few, _ := Compile(hosts(1000), make([]uint32, 1000), Root{})
	many, _ := Compile(hosts(2000), make([]uint32, 2000), Root{})
	if len(many.Cells) > 3*len(few.Cells) {
		t.Errorf("1000 lines take %d cells, 2000 take %d: growth should be linear", len(few.Cells), len(many.Cells))
	}
}

func hosts(n int) []Match {
	m := make([]Match, n)
	for i := range m {
		a := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		m[i] = Match{Dst: []netip.Prefix{netip.PrefixFrom(a, 32)}, Dport: []Range{{uint32(i%60000 + 1), uint32(i%60000 + 1)}}}
	}
	return m
}

func BenchmarkCompile100k(b *testing.B) {
	matches := hosts(100000)
	for b.Loop() {
		t, _ := Compile(matches, make([]uint32, len(matches)), Root{})
		b.ReportMetric(float64(len(t.Cells))*64/1e6, "MB")
	}
}
