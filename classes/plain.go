// SPDX-License-Identifier: Apache-2.0

package classes

import "strings"

// readPlain reads text that keeps to the plain part of YAML in which most
// policies are written: block mappings and sequences, flow collections on one
// line, quoted scalars without escapes, plain scalars without blanks, comments.
// It refuses everything else, errors included, and the YAML library decides. It
// exists because it is some twenty times as fast: a policy with 100,000 matches
// is read in a fraction of a second.
//
// Flow mappings that are items of block sequences, which nearly all text of a
// long policy is, it leaves unread: readItem reads them, on all CPUs at once.
func readPlain(text string) (node, bool) {
	r := plainReader{text: text, line: 1, open: make([]node, 0, 8+len(text)/bytesPerItem)}
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

	open []node // items of the collections that have not ended, innermost last
	slab []node // where those of ended ones are kept, side by side
	item node   // that readItem read last
}

// bytesPerItem is about what an item of a long policy takes of its text.
const bytesPerItem = 48

// slabSize is how many nodes are made at a time.
const slabSize = 4096

// keep ends the collection whose items begin at place from of the open ones.
func (r *plainReader) keep(from int) []node {
	items := r.open[from:]
	if len(items) > cap(r.slab)-len(r.slab) {
		r.slab = make([]node, 0, max(slabSize, len(items)))
	}
	start := len(r.slab)
	r.slab = append(r.slab, items...)
	r.open = r.open[:from]
	return r.slab[start:len(r.slab):len(r.slab)]
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
			r.toLineEnd()
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

func (r *plainReader) toLineEnd() {
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
		r.toLineEnd()
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
	n, from := r.here(mapping), len(r.open)
	for {
		key, ok := r.key()
		if !ok || r.peek() != ' ' && r.peek() != '\n' {
			return n, false
		}
		value, ok := r.blockValue(indent, key)
		r.open = append(r.open, key, value)
		if !ok || r.indent != indent || r.atDash() {
			n.items = r.keep(from)
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
	n, from := r.here(sequence), len(r.open)
	for {
		r.pos++
		r.skipBlanks()
		item, ok := r.blockItem()
		r.open = append(r.open, item)
		if !ok || r.indent != indent || !r.atDash() {
			n.items = r.keep(from)
			return n, ok && r.indent <= indent
		}
	}
}

// blockItem reads what follows a dash: one value, or a mapping that begins on
// the same line.
func (r *plainReader) blockItem() (node, bool) {
	if r.peek() == '{' {
		return r.flowItem()
	}
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

// flowItem takes a line that begins with a flow mapping as it is.
func (r *plainReader) flowItem() (node, bool) {
	n, start := r.here(unread), r.pos
	r.toLineEnd()
	n.text = r.text[start:r.pos]
	return n, r.endLine()
}

// readItem reads what flowItem took. What it returns is there until the next
// call.
func (r *plainReader) readItem(item *node) (*node, bool) {
	*r = plainReader{text: item.text, line: int(item.line), lineStart: 1 - int(item.column), open: r.open[:0], slab: r.slab[:0]}
	var ok bool
	r.item, ok = r.flow(0)
	return &r.item, ok && r.endLine() && r.indent < 0
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
