// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/token"
)

// syntaxProblem tells a user what the library found.
func syntaxProblem(s *source, err error) Problem {
	var e yaml.Error
	if !errors.As(err, &e) || e.GetToken() == nil {
		return s.problem(1, 1, "not YAML: "+err.Error(), "")
	}
	hint := "check the indentation; text with a colon at its end or before a blank goes in quotes"
	switch msg := e.GetMessage(); {
	case strings.Contains(msg, "tab"), strings.Contains(msg, "\t"):
		hint = "indent with spaces, not with tabs"
	case strings.Contains(msg, "quoted text"):
		hint = "close the quotes"
	case strings.Contains(msg, "escape"):
		hint = `inside double quotes a backslash begins an escape: write 'single quotes' around text with backslashes`
	case strings.Contains(msg, "reserved character"):
		hint = "put the value in quotes"
	case strings.ContainsAny(msg, "[]{}"), strings.Contains(msg, "sequence element"):
		hint = "check that every bracket is closed and that commas stand between the values"
	}
	p := e.GetToken().Position
	return s.problem(p.Line, p.Column, "YAML syntax: "+strings.ReplaceAll(e.GetMessage(), "\t", `\t`), hint)
}

// tooDeep finds the token at which flow collections or chains of indicators on
// one line are nested too deep for a parser that calls itself for each.
func tooDeep(tokens token.Tokens) *token.Token {
	const limit = 100
	flow, chain, line := 0, 0, 0
	for _, tk := range tokens {
		switch tk.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow = max(0, flow-1)
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType, token.MappingValueType:
			if tk.Position.Line != line {
				chain, line = 0, tk.Position.Line
			}
			chain++
		case token.CollectEntryType:
			chain = 0
		}
		if flow > limit || chain > limit {
			return tk
		}
	}
	return nil
}
