// SPDX-License-Identifier: Apache-2.0

package classes

import "strings"

// readPlain reads text that keeps to the plain part of YAML in which most
// policies are written: block mappings and sequences, flow collections on one
// line, quoted scalars without escapes, plain scalars without blanks, comments.
// It refuses everything else, errors included, and the YAML library decides. It
// exists because it is some twenty times as fast: a policy with 100,000 matches
// is read in a fraction of a second.
func readPlain(text string) (node, bool) {
	r := plainReader{text: text, line: 1}
	r.nextLine()
	if r.indent == 0 && strings.HasPrefix(r.rest(), "---\n") {
		r.pos += len("---")
		r.endLine()
	}
	if r.indent < 0 {
		return node{line: 1, column: 1}, true
	}
	if r.indent != 0 {
		return node{}, false
	}
	n, ok := r.block()
	return n, ok && r.indent < 0
}

type plainReader struct {
	text      string
	pos       int // next byte
	line      int // its line
	lineStart int // first byte of that line
	indent    int // of that line; -1 at the end of the text
}

// maxPlainDepth bounds flow collections; it is far deeper than any policy's.
const maxPlainDepth = 16

func (r *plainReader) rest() string { return r.text[r.pos:] }

func (r *plainReader) peek() byte {
	if r.pos < len(r.text) {
		return r.text[r.pos]
	}
	return '\n'
}

func (r *plainReader) here(k kind) node {
	return node{kind: k, line: int32(r.line), column: int32(r.pos - r.lineStart + 1)}
}

func (r *plainReader) skipBlanks() {
	for r.pos < len(r.text) && r.text[r.pos] == ' ' {
		r.pos++
	}
}

// nextLine goes from the start of a line to the next content, on it or below.
func (r *plainReader) nextLine() {
	for r.pos < len(r.text) {
		r.lineStart = r.pos
		r.skipBlanks()
		switch r.peek() {
		case '#':
			r.skipComment()
		case '\n':
		default:
			r.indent = r.pos - r.lineStart
			return
		}
		r.pos++
		r.line++
	}
	r.indent = -1
}

func (r *plainReader) skipComment() {
	if end := strings.IndexByte(r.rest(), '\n'); end >= 0 {
		r.pos += end
	} else {
		r.pos = len(r.text)
	}
}

// endLine goes from the end of a value to the next line with content. It
// refuses anything but a comment in between.
func (r *plainReader) endLine() bool {
	end := r.pos
	r.skipBlanks()
	if r.peek() == '#' && r.pos > end {
		r.skipComment()
	}
	if r.peek() != '\n' {
		return false
	}
	r.pos++
	r.line++
	r.nextLine()
	return true
}

func (r *plainReader) atDash() bool { return strings.HasPrefix(r.rest(), "- ") }

// block reads the block collection that begins here, at the indent of its line.
func (r *plainReader) block() (node, bool) {
	if r.atDash() {
		return r.blockSequence(r.indent)
	}
	return r.blockMapping(r.indent)
}

func (r *plainReader) blockMapping(indent int) (node, bool) {
	n := r.here(mapping)
	for {
		key, ok := r.key()
		if !ok || r.peek() != ' ' && r.peek() != '\n' {
			return n, false
		}
		value, ok := r.blockValue(indent, key)
		n.items = append(n.items, key, value)
		if !ok || r.indent != indent || r.atDash() {
			return n, ok && r.indent <= indent
		}
	}
}

// blockValue reads what follows a key and its colon in a block mapping.
func (r *plainReader) blockValue(indent int, key node) (node, bool) {
	blank := r.pos
	r.skipBlanks()
	if c := r.peek(); c != '\n' && c != '#' {
		n, ok := r.flow(0)
		return n, ok && r.endLine()
	}
	r.pos = blank
	if !r.endLine() {
		return node{}, false
	}
	switch {
	case r.indent > indent:
		return r.block()
	case r.indent == indent && r.atDash():
		return r.blockSequence(indent)
	}
	return node{line: key.line, column: key.column}, true
}

func (r *plainReader) blockSequence(indent int) (node, bool) {
	n := r.here(sequence)
	for {
		r.pos++
		r.skipBlanks()
		item, ok := r.blockItem()
		n.items = append(n.items, item)
		if !ok || r.indent != indent || !r.atDash() {
			return n, ok && r.indent <= indent
		}
	}
}

// blockItem reads what follows a dash: one value, or a mapping that begins on
// the same line.
func (r *plainReader) blockItem() (node, bool) {
	start := r.pos
	_, isKey := r.key()
	isKey = isKey && (r.peek() == ' ' || r.peek() == '\n')
	r.pos = start
	if isKey {
		return r.blockMapping(start - r.lineStart)
	}
	n, ok := r.flow(0)
	return n, ok && r.endLine()
}

// key reads a plain key and its colon.
func (r *plainReader) key() (node, bool) {
	n, ok := r.plainScalar()
	if !ok || r.peek() != ':' || strings.IndexByte(n.text, ':') >= 0 {
		return n, false
	}
	r.pos++
	return n, true
}

// flow reads a value that lies on one line.
func (r *plainReader) flow(depth int) (node, bool) {
	switch c := r.peek(); {
	case depth > maxPlainDepth:
		return node{}, false
	case c == '{' || c == '[':
		return r.flowCollection(depth, c)
	case c == '\'' || c == '"':
		return r.quotedScalar(c)
	}
	return r.plainScalar()
}

func (r *plainReader) flowCollection(depth int, open byte) (node, bool) {
	n, end := r.here(sequence), byte(']')
	if open == '{' {
		n.kind, end = mapping, '}'
	}
	r.pos++
	r.skipBlanks()
	if r.peek() == end {
		r.pos++
		return n, true
	}
	for {
		if n.kind == mapping {
			key, ok := r.key()
			if !ok || r.peek() != ' ' {
				return n, false
			}
			r.skipBlanks()
			n.items = append(n.items, key)
		}
		item, ok := r.flow(depth + 1)
		if !ok {
			return n, false
		}
		n.items = append(n.items, item)
		r.skipBlanks()
		switch r.peek() {
		case end:
			r.pos++
			return n, true
		case ',':
			r.pos++
			r.skipBlanks()
		default:
			return n, false
		}
	}
}

func (r *plainReader) quotedScalar(quote byte) (node, bool) {
	n := r.here(scalar)
	r.pos++
	length := strings.IndexFunc(r.rest(), func(c rune) bool {
		return c < ' ' || c > '~' || c == rune(quote) || c == '\\' && quote == '"'
	})
	if length < 0 || r.text[r.pos+length] != quote {
		return n, false
	}
	n.text = r.text[r.pos : r.pos+length]
	r.pos += length + 1
	return n, r.peek() != quote // '' would be a quote inside the text
}

func (r *plainReader) plainScalar() (node, bool) {
	length := plainLen(r.rest())
	n := r.here(scalar)
	n.text = r.text[r.pos : r.pos+length]
	n.kind = plainKind(n.text)
	r.pos += length
	return n, length > 0
}
