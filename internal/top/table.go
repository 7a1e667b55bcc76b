// SPDX-License-Identifier: Apache-2.0

package top

import (
	"cmp"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// column is one column of a table of rows R.
type column[R any] struct {
	title string
	width int             // 0: as wide as its widest text
	flex  int             // it may be made as narrow as this; 0: it may not
	left  bool            // its text stands at the left
	keep  int             // where there is no room, columns with a higher one go first; each has its own
	text  func(R) string  //
	value func(R) float64 // what it is sorted by, the largest first; nil: by its text
}

// gap is between two columns.
const gap = 1

// order sorts rows by a column of their own; its title is looked up, so that
// a column that is not shown sorts as well.
func order[R any](rows []R, columns []column[R], title string, reverse bool) {
	at := slices.IndexFunc(columns, func(c column[R]) bool { return c.title == title })
	if at < 0 {
		if reverse {
			slices.Reverse(rows)
		}
		return
	}
	c := columns[at]
	slices.SortStableFunc(rows, func(a, b R) int {
		by := cmp.Compare(c.text(a), c.text(b))
		if c.value != nil {
			by = cmp.Compare(c.value(b), c.value(a))
		}
		if reverse {
			return -by
		}
		return by
	})
}

// fit takes columns away, and shortens the one that may be, until the rest is
// no wider than width; 0 is any width. It gives each its width.
func fit[R any](columns []column[R], rows []R, width int) []column[R] {
	fitted := slices.Clone(columns)
	for i := range fitted {
		fitted[i].measure(rows)
	}
	for excess := total(fitted) - width; width > 0 && excess > 0; excess = total(fitted) - width {
		if i := slices.IndexFunc(fitted, func(c column[R]) bool { return c.flex > 0 }); len(fitted) == 1 || i >= 0 && fitted[i].width-excess >= fitted[i].flex {
			fitted[max(0, i)].width -= excess
			break
		}
		least := slices.MaxFunc(fitted, func(a, b column[R]) int { return cmp.Compare(a.keep, b.keep) }).keep
		fitted = slices.DeleteFunc(fitted, func(c column[R]) bool { return c.keep == least })
	}
	return fitted
}

func (c *column[R]) measure(rows []R) {
	if c.width > 0 {
		return
	}
	c.width = ansi.StringWidth(c.title)
	for _, r := range rows {
		c.width = max(c.width, ansi.StringWidth(c.text(r)))
	}
}

func total[R any](columns []column[R]) int {
	sum := gap * (len(columns) - 1)
	for _, c := range columns {
		sum += c.width
	}
	return sum
}

// pad makes a text as wide as its column.
func pad(text string, width int, left bool) string {
	text = ansi.Truncate(text, width, "…")
	blank := strings.Repeat(" ", max(0, width-ansi.StringWidth(text)))
	if left {
		return text + blank
	}
	return blank + text
}

// print is one row, or with titles what stands above them.
func print[R any](columns []column[R], cell func(column[R]) string) string {
	var cells []string
	for _, c := range columns {
		cells = append(cells, pad(cell(c), c.width, c.left))
	}
	return strings.Join(cells, strings.Repeat(" ", gap))
}
