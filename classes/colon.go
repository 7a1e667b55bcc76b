// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"strings"

	"github.com/goccy/go-yaml/token"
)

// joinColons undoes a habit of the library's lexer: inside { } it takes every
// colon for the one between key and value. YAML does so only before a blank or
// an indicator, and {dst: [2001:db8::/32, ::/0]} is a list of two prefixes.
func joinColons(tokens token.Tokens) token.Tokens {
	var joined token.Tokens
	for i := 0; i < len(tokens); i++ {
		tk := tokens[i]
		last := len(joined) - 1
		switch {
		case tk.Type != token.MappingValueType || i+1 == len(tokens) || !isPlain(tokens[i+1]) || startsBlank(tokens[i+1]):
			joined = append(joined, tk)
		case last >= 0 && isPlain(joined[last]) && !(last > 0 && joined[last-1].Type == token.AnchorType):
			joined[last] = join(joined[last], tk, tokens[i+1])
			i++
		case last >= 0 && beforeValue(joined[last]):
			joined = append(joined, join(tk, tokens[i+1]))
			i++
		default:
			joined = append(joined, tk)
		}
	}
	return link(joined)
}

func isPlain(tk *token.Token) bool {
	return tk.Indicator == token.NotIndicator && tk.CharacterType == token.CharacterTypeMiscellaneous && tk.Type != token.InvalidType
}

func startsBlank(tk *token.Token) bool {
	return tk.Origin == "" || strings.ContainsRune(" \t\n", rune(tk.Origin[0]))
}

func beforeValue(tk *token.Token) bool {
	switch tk.Type {
	case token.CollectEntryType, token.SequenceStartType, token.MappingStartType:
		return true
	}
	return isPlain(tk) // the name of an anchor
}

// join makes one plain scalar of tokens that touch each other.
func join(parts ...*token.Token) *token.Token {
	var origin strings.Builder
	for _, p := range parts {
		origin.WriteString(p.Origin)
	}
	value := strings.TrimSpace(origin.String())
	if strings.Contains(value, "\n") {
		value = strings.Join(strings.Fields(value), " ")
	}
	return token.String(value, origin.String(), parts[0].Position)
}

func link(tokens token.Tokens) token.Tokens {
	for i, tk := range tokens {
		tk.Prev, tk.Next = nil, nil
		if i > 0 {
			tk.Prev, tokens[i-1].Next = tokens[i-1], tk
		}
	}
	return tokens
}
