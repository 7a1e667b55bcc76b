// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

// Glob is a pattern for one name of a path, as in path.Match, over bytes: `*`
// is any bytes, `?` one, [a-z] one of a class, [^a-z] one of no class. A
// backslash is one like any other, for systemd's names are full of them; [*]
// is a star.
type Glob []GlobPart

// GlobPart is any bytes, or exactly one of a set.
type GlobPart struct {
	Any bool
	Set ByteSet // where Any is false; never empty
}

// ByteSet is a set of bytes, a bit each.
type ByteSet [4]uint64

// Has tells whether c is in the set.
func (s *ByteSet) Has(c byte) bool { return s[c/64]>>(c%64)&1 == 1 }

func (s *ByteSet) add(lo, hi byte) {
	for c := int(lo); c <= int(hi); c++ {
		s[c/64] |= 1 << (c % 64)
	}
}

// Empty tells whether no byte is in the set.
func (s *ByteSet) Empty() bool { return *s == ByteSet{} }

// Single is the only byte of a set that has one.
func (s *ByteSet) Single() (c byte, ok bool) {
	n := 0
	for i, word := range s {
		if word != 0 {
			c, n = byte(64*i+bits.TrailingZeros64(word)), n+bits.OnesCount64(word)
		}
	}
	return c, n == 1
}

// IsGlob tells whether a text has a character that is not itself in a Glob.
func IsGlob(text string) bool { return strings.ContainsAny(text, "*?[") }

// QuoteGlob is the pattern that takes a text and nothing else.
func QuoteGlob(text string) string { return globQuoter.Replace(text) }

var globQuoter = strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]")

// ParseGlob reads the pattern of one name. Errors say what to write.
func ParseGlob(text string) (g Glob, err error) {
	for i := 0; i < len(text); i++ {
		var part GlobPart
		switch c := text[i]; {
		case c == '/':
			return nil, errors.New("a name has no slash")
		case c == '*' && len(g) > 0 && g[len(g)-1].Any:
			return nil, errors.New("** is not supported: write one pattern for each depth; what lies below a cgroup is in its class anyway")
		case c == '*':
			part.Any = true
		case c == '?':
			part.Set.add(1, 255)
		case c == '[':
			n, err := part.Set.parse(text[i:])
			if err != nil {
				return nil, err
			}
			i += n - 1
		default:
			part.Set.add(c, c)
		}
		part.Set.drop('/')
		g = append(g, part)
	}
	return g, nil
}

func (s *ByteSet) drop(c byte) { s[c/64] &^= 1 << (c % 64) }

// parse reads a class in brackets and returns how many bytes it takes.
func (s *ByteSet) parse(text string) (n int, err error) {
	rest := text[1:]
	negated := strings.HasPrefix(rest, "^") || strings.HasPrefix(rest, "!")
	if negated {
		rest = rest[1:]
	}
	for first := true; ; first = false {
		if rest == "" {
			return 0, errors.New("a bracket that is not closed: close it, or write [[] for the character")
		}
		if rest[0] == ']' && !first {
			rest = rest[1:]
			break
		}
		lo, hi := rest[0], rest[0]
		rest = rest[1:]
		if len(rest) > 1 && rest[0] == '-' && rest[1] != ']' {
			hi, rest = rest[1], rest[2:]
		}
		if lo > hi || lo > 0x7f || hi > 0x7f {
			return 0, fmt.Errorf("%c-%c is no range of ASCII characters", lo, hi)
		}
		s.add(lo, hi)
	}
	if negated {
		for i := range s {
			s[i] = ^s[i]
		}
	}
	s.drop(0)
	s.drop('/')
	if s.Empty() {
		return 0, errors.New("a class that no character is in")
	}
	return len(text) - len(rest), nil
}

// Match tells whether the pattern is the name's.
func (g Glob) Match(name string) bool {
	at, star, from := 0, -1, 0 // from is where the last star's bytes end, if they are as few as can be
	for i := 0; i < len(name); {
		switch {
		case at < len(g) && g[at].Any:
			star, from = at, i
			at++
		case at < len(g) && g[at].Set.Has(name[i]):
			at, i = at+1, i+1
		case star >= 0:
			from++
			at, i = star+1, from
		default:
			return false
		}
	}
	for at < len(g) && g[at].Any {
		at++
	}
	return at == len(g)
}
