// SPDX-License-Identifier: Apache-2.0

package classes

// A node is a YAML value with its place; aliases are already followed.
type node struct {
	kind         kind
	line, column int32  // of the first character, both from 1; an absent value has its key's
	text         string // of a scalar, boolean or null, as written, quotes and escapes resolved
	items        []node // of a sequence; of a mapping: key, value, key, value …
}

// value returns the value of a key of a mapping, or n itself.
func (n *node) value(key string) *node {
	for i := 0; i < len(n.items); i += 2 {
		if n.items[i].text == key {
			return &n.items[i+1]
		}
	}
	return n
}

type kind uint8

const (
	null kind = iota // also a value that is absent
	boolean
	scalar // every other scalar, numbers too
	sequence
	mapping
	unread // a flow mapping whose text is read when it is decoded, and to the end of its line
)

func (k kind) String() string {
	return [...]string{"nothing", "true or false", "a single value", "a list", "a mapping", "a mapping"}[k]
}

// plainKind returns the kind of a scalar that stands without quotes.
func plainKind(text string) kind {
	switch text {
	case "null", "Null", "NULL", "~":
		return null
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return boolean
	}
	return scalar
}

// inPlain says where a byte can stand in a simple plain scalar.
var inPlain = func() (in [256]plainPlace) {
	for c := range in {
		switch c := byte(c); {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '/':
			in[c] = anywhere
		case c == '.' || c == '-' || c == '+' || c == '@' || c == '$' || c == '\\':
			in[c] = afterFirst
		case c == ':':
			in[c] = beforeMore
		}
	}
	return in
}()

type plainPlace uint8

const (
	nowhere    plainPlace = iota
	anywhere              // in every context and to every YAML reader
	afterFirst            // not as the first character
	beforeMore            // where an anywhere or another colon follows
)

// plainLen returns how much of the beginning of text is a simple plain scalar:
// no blanks, no indicators, a colon only where more follows.
func plainLen(text string) int {
	i := 0
	for ; i < len(text); i++ {
		switch inPlain[text[i]] {
		case anywhere:
			continue
		case afterFirst:
			if i > 0 {
				continue
			}
		case beforeMore:
			if i+1 < len(text) && (inPlain[text[i+1]] == anywhere || text[i+1] == ':') {
				continue
			}
		}
		return i
	}
	return i
}
