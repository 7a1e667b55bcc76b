// SPDX-License-Identifier: Apache-2.0

package match

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestCgroupNames(t *testing.T) {
	for _, c := range []struct {
		cgroup Cgroup
		path   string
		want   bool
	}{
		{Cgroup{Path: "a.slice"}, "a.slice", true},
		{Cgroup{Path: "a.slice"}, "a.slice/b/c", true},
		{Cgroup{Path: "a.slice"}, "a.slices", false},
		{Cgroup{Path: "a.slice"}, "", false},
		{Cgroup{Path: "a.slice/b"}, "a.slice", false},
		{Cgroup{Path: "a.slice/*"}, "a.slice", false},
		{Cgroup{Path: "a.slice/*"}, "a.slice/b/c", true},
		{Cgroup{Path: "system.slice/db-*.service"}, "system.slice/db-1.service", true},
		{Cgroup{Path: "system.slice/db-*.service"}, "system.slice/db-1.service/x", true},
		{Cgroup{Path: "system.slice/db-*.service"}, "system.slice/x/db-1.service", false},
		{Cgroup{Path: `x/a\x2db`}, `x/a\x2db`, true},
		{Cgroup{Path: `x/a[*]`}, `x/a*`, true},
		{Cgroup{Path: `x/a[*]`}, `x/ab`, false},
		{Cgroup{Unit: "db.service"}, "system.slice/db.service", true},
		{Cgroup{Unit: "db.service"}, "system.slice/system-x.slice/db.service/y", true},
		{Cgroup{Unit: "db.service"}, "db.service", true},
		{Cgroup{Unit: "db.service"}, "docker/db.service", false},
		{Cgroup{Unit: "db.service"}, "user.slice/user-1.slice/user@1.service/app.slice/db.service", false},
		{Cgroup{Path: "user.slice/user-1.slice/user@1.service", Unit: "db.service"}, "user.slice/user-1.slice/user@1.service/app.slice/db.service", true},
		{Cgroup{Unit: "cpu.service"}, "system.slice/_cpu.service", true},
		{Cgroup{Unit: "_x.service"}, "system.slice/__x.service", true},
		{Cgroup{Unit: "_x.service"}, "system.slice/_x.service", false},
		{Cgroup{Unit: "x.service"}, "system.slice/_x.service", true},
		{Cgroup{Unit: "a.slice"}, "a.slice/b", true},
		{Cgroup{Unit: "db@*.service"}, "system.slice/system-db.slice/db@1.service", true},
		{Cgroup{Unit: "*.service"}, "system.slice/_cpu.service", true},
	} {
		if got := c.cgroup.holds(c.path); got != c.want {
			t.Errorf("%+v holds %q: %v", c.cgroup, c.path, got)
		}
		if got := entered(t, []Match{{Cgroup: []Cgroup{c.cgroup}}}, c.path); got != c.want {
			t.Errorf("the automaton of %+v holds %q: %v", c.cgroup, c.path, got)
		}
	}
}

// entered tells whether a table has an entry for the cgroup, or one above it.
func entered(t *testing.T, matches []Match, path string) (any bool) {
	table, err := Compile(matches, make([]uint32, len(matches)), Root{})
	if err != nil {
		t.Fatal(err)
	}
	walk := table.Walk()
	for _, name := range split(path) {
		var set uint32
		walk, set = walk.Enter(name)
		any = any || set != 0
	}
	return any
}

// TestAutomatonAnswersLikeTheList holds random patterns against random paths.
func TestAutomatonAnswersLikeTheList(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	held := 0
	for range 300 {
		matches := make([]Match, 1+r.IntN(4))
		for i := range matches {
			matches[i].Cgroup = randomPatterns(r)
		}
		table, err := Compile(matches, make([]uint32, len(matches)), Root{})
		if err != nil {
			t.Fatalf("%+v: %v", matches, err)
		}
		for range 50 {
			f := Flow{Cgroup: randomCgroup(r)}
			want, ok := First(matches, f)
			if got, found := (reader{t, table}).first(f, len(matches)); got != want || found != ok {
				t.Fatalf("%q in %+v: the automaton says %d %v, the list %d %v", f.Cgroup, matches, got, found, want, ok)
			}
			if ok {
				held++
			}
		}
	}
	if held < 500 {
		t.Errorf("only %d of 15000 paths are named: the test says little", held)
	}
}

// TestAutomatonStaysSmall has as many patterns as hosts have, and those that
// would make it explode.
func TestAutomatonStaysSmall(t *testing.T) {
	lines := func(n int, pattern func(i int) Cgroup) []Match {
		out := make([]Match, n)
		for i := range out {
			out[i].Cgroup = []Cgroup{pattern(i)}
		}
		return out
	}
	hex := func(i int) string { return fmt.Sprintf("%016x%016x%016x%016x", i*7919, i*104729, i*31, i) }
	for _, c := range []struct {
		name    string
		matches []Match
		cells   int
	}{
		{"10000 paths", lines(10_000, func(i int) Cgroup { return Cgroup{Path: fmt.Sprintf("many.slice/%d.service", i)} }), 60_000},
		{"1000 containers", lines(1000, func(i int) Cgroup { return Cgroup{Path: "system.slice/docker-" + hex(i) + ".scope"} }), 10_000},
		{"1000 units", lines(1000, func(i int) Cgroup { return Cgroup{Unit: fmt.Sprintf("service-%d.service", i)} }), 60_000},
		{"1000 templates", lines(1000, func(i int) Cgroup { return Cgroup{Unit: fmt.Sprintf("service-%d@*.service", i)} }), 250_000},
	} {
		table, err := Compile(c.matches, make([]uint32, len(c.matches)), Root{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		t.Logf("%s: %d cells", c.name, len(table.Cells))
		if len(table.Cells) > c.cells {
			t.Errorf("%s: %d cells, want %d at most", c.name, len(table.Cells), c.cells)
		}
	}
	stars := lines(30, func(i int) Cgroup { return Cgroup{Path: fmt.Sprintf("*%c*%c*", 'a'+i%26, 'b'+i%25)} })
	if _, err := Compile(stars, make([]uint32, len(stars)), Root{}); err == nil {
		t.Error("30 patterns that can all be true together: no error")
	}
}
