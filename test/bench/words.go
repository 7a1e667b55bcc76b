// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// grid is a table of text. Columns to the left of numbers are aligned to the
// left, as is the last; a line shorter than the others ends early.
type grid struct {
	words int // columns that are no numbers
	lines [][]string
}

func (g *grid) add(cells ...string) { g.lines = append(g.lines, cells) }

func (g *grid) print(w io.Writer) {
	var widths []int
	for _, line := range g.lines {
		for i, cell := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range g.lines {
		var b strings.Builder
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < g.words || i == len(widths)-1 {
				b.WriteString(cell + pad + "  ")
			} else {
				b.WriteString(pad + cell + "  ")
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return grouped(n) + " " + noun
}

// grouped writes 100000 as 100,000.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// duration writes nanoseconds in a unit that suits them.
func duration(ns float64) string {
	switch size := math.Abs(ns); {
	case size >= 1e6:
		return fmt.Sprintf("%.2f ms", ns/1e6)
	case size >= 1e4:
		return fmt.Sprintf("%.1f µs", ns/1e3)
	}
	return fmt.Sprintf("%.1f ns", ns)
}

// signed is duration with its sign always there.
func signed(ns float64) string {
	if ns < 0 {
		return duration(ns)
	}
	return "+" + duration(ns)
}

// plusMinus is half of what lies between the quartiles, in the unit of the median.
func (s spreadOf) plusMinus() string {
	half := (s.High - s.Low) / 2
	switch size := math.Abs(s.Median); {
	case size >= 1e6:
		return fmt.Sprintf(" ±%.2f", half/1e6)
	case size >= 1e4:
		return fmt.Sprintf(" ±%.1f", half/1e3)
	}
	return fmt.Sprintf(" ±%.1f", half)
}

func short(d time.Duration) string { return d.Round(time.Millisecond).String() }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
