// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

// source is one policy file.
type source struct {
	name   string
	text   string       // lines end in \n
	starts func() []int // the first byte of every line; found once, when first needed
	long   bool         // it is not plain, and read by the YAML library
}

func newSource(name string, text []byte) *source {
	s := &source{name: name, text: strings.TrimPrefix(string(text), "\ufeff")}
	if strings.Contains(s.text, "\r\n") {
		s.text = strings.ReplaceAll(s.text, "\r\n", "\n")
	}
	s.starts = sync.OnceValue(func() []int {
		starts := []int{0}
		for i := 0; i < len(s.text); i++ {
			if s.text[i] == '\n' {
				starts = append(starts, i+1)
			}
		}
		return starts
	})
	return s
}

// line returns line n, counted from 1, or "" where there is none.
func (s *source) line(n int) string {
	starts := s.starts()
	if n < 1 || n > len(starts) {
		return ""
	}
	line, _, _ := strings.Cut(s.text[starts[n-1]:], "\n")
	return line
}

func (s *source) position(line, column int) Position {
	return Position{File: s.name, Line: line, Column: column}
}

func (s *source) problem(line, column int, text, hint string) Problem {
	return Problem{Pos: s.position(line, column), Text: text, Hint: hint, Source: s.line(line)}
}

// read returns the tree of the YAML document in s: by the short way where the
// text is plain enough, else as the YAML library reads it. If an item that is
// left unread turns out not to be plain, s is to be marked long, and read again.
func (s *source) read() (node, Problems) {
	if bad := s.badCharacter(); bad != nil {
		return node{}, Problems{*bad}
	}
	if !s.long {
		if n, ok := readPlain(s.text); ok {
			return n, nil
		}
	}
	return readYAML(s)
}

// badCharacter finds the first character that no YAML text may hold.
func (s *source) badCharacter() *Problem {
	if isText(s.text) {
		return nil
	}
	line, column := 1, 1
	for i, r := range s.text {
		switch {
		case r == '\n':
			line, column = line+1, 1
			continue
		case r == utf8.RuneError && !strings.HasPrefix(s.text[i:], "\ufffd"):
			p := s.problem(line, column, "this is not UTF-8 text", "save the file as UTF-8")
			return &p
		case r < ' ' && r != '\t', r == 0x7f:
			p := s.problem(line, column, fmt.Sprintf("control character %U in the text", r), "delete it")
			return &p
		}
		column++
	}
	return nil
}

// isText tells whether all characters are of ASCII and none is a control
// character. It looks at eight at a time.
func isText(text string) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	var bad uint64
	for ; len(text) >= 8; text = text[8:] {
		b := uint64(text[0]) | uint64(text[1])<<8 | uint64(text[2])<<16 | uint64(text[3])<<24 |
			uint64(text[4])<<32 | uint64(text[5])<<40 | uint64(text[6])<<48 | uint64(text[7])<<56
		low := (b | tops) - ones*' ' // its top bits are clear where a byte is below ' '
		newline := b ^ ones*'\n'
		end := b ^ ones*0x7f
		bad |= b&tops | ^low&tops&((newline&^tops+ones*0x7f)|newline) | ^((end&^tops)+ones*0x7f|end)&tops
		if bad != 0 {
			return false
		}
	}
	for i := range len(text) {
		if c := text[i]; c != '\n' && (c < ' ' || c >= 0x7f) {
			return false
		}
	}
	return true
}
