// SPDX-License-Identifier: Apache-2.0

package match

import (
	"strings"

	"waymark/classes"
)

// place is where a reader of paths can be: between two bytes of a pattern.
// Bytes are those of names, '/' between them, and 0 at the end.
type place struct {
	on   classes.ByteSet // a byte of these leads to `to`
	to   int
	stay bool  // any byte of a name leads back here
	also []int // places the reader is at, too, with no byte read
	ends bool  // the pattern's last name ends here
	of   int   // the pattern
}

// places are those of all patterns. Patterns share the places of the folders
// that they begin with, and those of the slices above units.
type places struct {
	list []place
	root *folder
}

// folder is where the names below a path begin.
type folder struct {
	start int
	below map[string]*folder // by the pattern of the next name
	units *folder            // the same behind any number of slices
}

// shared is the pattern of a place that is of several.
const shared = -1

func (ps *places) folder() *folder {
	return &folder{start: ps.add(place{of: shared}), below: map[string]*folder{}}
}

func (ps *places) add(p place) int {
	ps.list = append(ps.list, p)
	return len(ps.list) - 1
}

// begin makes a place one where the names of a folder begin.
func (ps *places) begin(f *folder, at int) {
	ps.list[f.start].also = append(ps.list[f.start].also, at)
}

// placesIn is about how many places a pattern adds: a byte of a name is one, and
// folders are shared.
func placesIn(c Cgroup) int {
	return len(c.Path) - strings.LastIndexByte(c.Path, '/') + 2*len(c.Unit) + 2
}

// pattern adds the places of a pattern.
func (ps *places) pattern(of int, c Cgroup) {
	end := ps.add(place{ends: true, of: of})
	f, names := ps.root, split(c.Path)
	last := ""
	if c.Unit == "" {
		names, last = names[:len(names)-1], names[len(names)-1]
	}
	for _, name := range names {
		f = ps.enter(f, name)
	}
	if c.Unit == "" {
		ps.begin(f, ps.glob(of, glob(last), end))
		return
	}
	f = ps.slices(f)
	ps.begin(f, ps.plain(of, glob(c.Unit), end))
	ps.begin(f, ps.add(place{on: just('_'), to: ps.glob(of, glob(c.Unit), end), of: of}))
}

func (ps *places) enter(f *folder, name string) *folder {
	below := f.below[name]
	if below == nil {
		below = ps.folder()
		f.below[name] = below
		ps.begin(f, ps.glob(shared, glob(name), ps.slash(below)))
	}
	return below
}

// slices is the folder of the units below f: slices lead back to it.
func (ps *places) slices(f *folder) *folder {
	if f.units == nil {
		f.units = ps.folder()
		ps.begin(f, f.units.start)
		ps.begin(f.units, ps.glob(shared, glob(sliceGlob), ps.slash(f.units)))
	}
	return f.units
}

func (ps *places) slash(to *folder) int {
	return ps.add(place{on: just('/'), to: to.start, of: shared})
}

// plain adds the places of a name that does not begin with an underscore.
func (ps *places) plain(of int, g classes.Glob, end int) int {
	if len(g) == 0 {
		return end
	}
	first := place{of: of, on: g[0].Set}
	if g[0].Any {
		first.on = anyByte()
	}
	drop(&first.on, '_')
	if !g[0].Any {
		first.to = ps.glob(of, g[1:], end)
		return ps.add(first)
	}
	first.to = ps.glob(of, g, end)
	return ps.add(place{of: of, also: []int{ps.add(first), ps.plain(of, g[1:], end)}})
}

func (ps *places) glob(of int, g classes.Glob, next int) int {
	for i := len(g) - 1; i >= 0; i-- {
		p := place{on: g[i].Set, to: next, of: of}
		if g[i].Any {
			p = place{stay: true, also: []int{next}, of: of}
		}
		next = ps.add(p)
	}
	return next
}

// reach adds a place, and those that a reader is at with it, to a set.
func (ps *places) reach(at int, into map[int32]struct{}) {
	if _, there := into[int32(at)]; there {
		return
	}
	into[int32(at)] = struct{}{}
	for _, a := range ps.list[at].also {
		ps.reach(a, into)
	}
}

func just(c byte) (s classes.ByteSet) {
	s[c/64] = 1 << (c % 64)
	return s
}

func drop(s *classes.ByteSet, c byte) { s[c/64] &^= 1 << (c % 64) }

// anyByte is every byte that a name can have.
func anyByte() classes.ByteSet {
	s := classes.ByteSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
	drop(&s, 0)
	drop(&s, '/')
	return s
}
