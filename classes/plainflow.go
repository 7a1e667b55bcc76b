// SPDX-License-Identifier: Apache-2.0

package classes

import "strings"

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
	n, end, from := r.here(sequence), byte(']'), len(r.open)
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
			r.open = append(r.open, key)
		}
		item, ok := r.flow(depth + 1)
		if !ok {
			return n, false
		}
		r.open = append(r.open, item)
		r.skipBlanks()
		switch r.peek() {
		case end:
			r.pos++
			n.items = r.keep(from)
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
