// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Position is a place in a policy file. The zero value is nowhere.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line"`   // from 1; 0 means the file as a whole
	Column int    `json:"column"` // from 1, in characters
}

// String returns the place as file:line:column.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Problem is one thing that is wrong with a policy.
type Problem struct {
	Pos     Position   `json:"pos"`
	Text    string     `json:"text"`              // what is wrong
	Hint    string     `json:"hint,omitempty"`    // what to write instead; may be empty
	Related []Position `json:"related,omitempty"` // other places that have to do with it
	Source  string     `json:"source,omitempty"`  // the line at Pos; may be empty
}

// Error returns the problem in several lines: place and text, the source line,
// a caret below the column, the hint, and the related places.
func (p Problem) Error() string {
	var b strings.Builder
	if p.Pos != (Position{}) {
		fmt.Fprintf(&b, "%s: ", p.Pos)
	}
	b.WriteString(p.Text)
	if p.Source != "" {
		line, caret := window(p.Source, p.Pos.Column)
		fmt.Fprintf(&b, "\n  %s\n  %s", line, caret)
	}
	if p.Hint != "" {
		fmt.Fprintf(&b, "\n  hint: %s", p.Hint)
	}
	for _, r := range p.Related {
		fmt.Fprintf(&b, "\n  see: %s", r)
	}
	return b.String()
}

// window returns a source line, cut to the part around column where it is long,
// and the line with a caret that goes below it.
func window(source string, column int) (line, caret string) {
	const width = 120
	runes := []rune(strings.Map(visible, source))
	at := max(0, min(column-1, len(runes)))
	head, tail := "", ""
	if from := min(at-width/2, len(runes)-width); from > 0 {
		runes, at, head = runes[from:], at-from, "…"
	}
	if len(runes) > width {
		runes, tail = runes[:width], "…"
	}
	blank := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r // as wide as the one above it
		}
		return ' '
	}, head+string(runes[:at]))
	return head + string(runes) + tail, blank + "^"
}

// visible keeps what a terminal would obey out of what it shows.
func visible(r rune) rune {
	if r == '\t' || unicode.IsGraphic(r) {
		return r
	}
	return unicode.ReplacementChar
}

// Problems is everything that is wrong with a policy, in the order of its text.
type Problems []Problem

// Error returns all problems, one below the other.
func (ps Problems) Error() string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.Error()
	}
	return strings.Join(texts, "\n")
}

// Problem returns a problem at pos, with its source line. It serves the stages
// that learn only later what is wrong, such as a user this host does not have.
func (p *Policy) Problem(pos Position, text, hint string) Problem {
	return Problem{Pos: pos, Text: text, Hint: hint, Source: p.line(pos)}
}

func (p *Policy) line(pos Position) string {
	for _, s := range p.sources {
		if s.name == pos.File {
			return s.line(pos.Line)
		}
	}
	return ""
}

// sorted orders problems by file, in the order they were read, and place.
func (p *Policy) sorted(ps Problems) Problems {
	file := make(map[string]int, len(p.sources))
	for i, s := range p.sources {
		file[s.name] = i
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(file[a.Pos.File], file[b.Pos.File]),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	return ps
}
