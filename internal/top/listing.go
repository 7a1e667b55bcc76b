// SPDX-License-Identifier: Apache-2.0

package top

import (
	"slices"
	"strings"
)

// view is one of the tables that Tab goes through.
type view int

const (
	classView view = iota
	pairView
	uplinkView
	matchView
	views
)

var viewNames = [views]string{"Classes", "Class by uplink", "Uplinks", "Matches"}

// looks are how a view is looked at.
type looks struct {
	sort    string // title of the column that it is sorted by; "": the policy's order
	reverse bool
	filter  string // part of what a row says, in any case
	width   int    // 0: any
	bars    []rune
}

// listing is a view as it is shown.
type listing struct {
	titles []string // of all columns, shown or not
	header string
	rows   []row
}

// row is one row of it.
type row struct {
	name  string // by which it is selected
	class string // that a move from here is of; "": none
	text  string
	bad   bool // it wants to be seen
}

// list lists a view of a frame.
func list(v view, f *Frame, l looks) listing {
	switch v {
	case pairView:
		return rowsOf(pairs(f.Classes), pairColumns(l.bars), l, func(p pair) row {
			return row{name: p.Class + "\x00" + p.Uplink, class: p.Class, bad: p.MisroutesPerSecond > 0}
		})
	case uplinkView:
		return rowsOf(f.Uplinks, uplinkColumns(l.bars), l, func(u Uplink) row {
			return row{name: u.Name, bad: !u.Up || u.MisroutesPerSecond > 0}
		})
	case matchView:
		return rowsOf(f.Matches, matchColumns(l.bars), l, func(m Match) row {
			return row{name: m.Where + "\x00" + m.Text, class: m.Class}
		})
	}
	return rowsOf(f.Classes, classColumns(l.bars), l, func(c Class) row {
		return row{name: c.Name, class: c.Name, bad: c.Route != "" && c.Uplink == "" || c.MisroutesPerSecond > 0}
	})
}

func rowsOf[R any](all []R, columns []column[R], l looks, about func(R) row) listing {
	out := listing{}
	for _, c := range columns {
		out.titles = append(out.titles, c.title)
	}
	all = slices.DeleteFunc(slices.Clone(all), func(r R) bool { return !says(r, columns, l.filter) })
	order(all, columns, l.sort, l.reverse)
	columns = fit(columns, all, l.width)
	out.header = print(columns, func(c column[R]) string { return c.title })
	for _, r := range all {
		shown := about(r)
		shown.text = print(columns, func(c column[R]) string { return c.text(r) })
		out.rows = append(out.rows, shown)
	}
	return out
}

// says looks for the filter in what is text in a row.
func says[R any](r R, columns []column[R], filter string) bool {
	for _, c := range columns {
		if c.value == nil && strings.Contains(strings.ToLower(c.text(r)), strings.ToLower(filter)) {
			return true
		}
	}
	return false
}
