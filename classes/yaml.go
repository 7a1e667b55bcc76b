// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"slices"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxAliased bounds how many values aliases of aliases can grow to.
const maxAliased = 1 << 20

// readYAML reads the YAML document in s as goccy/go-yaml understands it.
func readYAML(s *source) (n node, problems Problems) {
	defer func() {
		// The library gives up on some malformed texts by a panic.
		if r := recover(); r != nil {
			n, problems = node{}, Problems{s.problem(1, 1, "this is not YAML", "write the file in the plain style of the manual")}
		}
	}()
	tokens := joinColons(lexer.Tokenize(s.text))
	if tk := tooDeep(tokens); tk != nil {
		return node{}, Problems{s.problem(tk.Position.Line, tk.Position.Column, "nested too deep", "nothing in a policy is nested deeper than six levels")}
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return node{}, Problems{syntaxProblem(s, err)}
	}
	t := treeReader{source: s, anchors: map[string]anchor{}}
	n = t.file(file)
	return n, t.problems
}

// treeReader turns the library's tree into ours.
type treeReader struct {
	source   *source
	anchors  map[string]anchor
	nodes    int // so far, with what aliases stand for
	aliased  int // those that aliases stand for
	bomb     bool
	problems Problems
	line     struct { // the one last looked at
		number int32
		text   []rune
	}
}

type anchor struct {
	node  node
	nodes int
}

func (t *treeReader) problem(tk *token.Token, text, hint string) node {
	line, column := t.place(tk)
	t.problems = append(t.problems, t.source.problem(int(line), int(column), text, hint))
	return node{}
}

func (t *treeReader) file(file *ast.File) node {
	root, rooted := node{line: 1, column: 1}, false
	for _, doc := range file.Docs {
		switch body := doc.Body.(type) {
		case nil:
		case *ast.DirectiveNode:
			t.problem(body.Start, "a YAML directive", "a policy needs none: delete the line")
		default:
			n := t.node(body)
			if rooted {
				t.problems = append(t.problems, t.source.problem(int(n.line), int(n.column), "a second document in one file", "delete the --- above it, or make it a file of its own"))
			}
			root, rooted = n, true
		}
	}
	return root
}

func (t *treeReader) node(n ast.Node) node {
	t.nodes++
	switch n := n.(type) {
	case *ast.MappingNode:
		return t.mapping(n.Start, n.IsFlowStyle, n.Values)
	case *ast.MappingValueNode:
		return t.mapping(n.Start, false, []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		return t.sequence(n)
	case *ast.AnchorNode:
		before := t.nodes
		value := t.node(n.Value)
		t.anchors[n.Name.GetToken().Value] = anchor{value, t.nodes - before}
		return value
	case *ast.AliasNode:
		return t.alias(n.Start, n.Value.GetToken().Value)
	case *ast.MappingKeyNode:
		return t.node(n.Value)
	case *ast.LiteralNode:
		line, column := t.place(n.Start)
		return node{kind: scalar, line: line, column: column, text: n.Value.Value}
	case *ast.TagNode:
		t.problem(n.Start, fmt.Sprintf("the tag %s", n.Start.Value), "a policy needs no tags: delete it")
		if n.Value != nil {
			return t.node(n.Value)
		}
		return node{}
	case *ast.MergeKeyNode:
		return t.problem(n.Token, "merge keys are not supported", "write the fields out")
	case *ast.NullNode, *ast.BoolNode, *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return t.scalar(n.GetToken())
	}
	return t.problem(n.GetToken(), "a kind of YAML value that no policy has", "write the file in the plain style of the manual")
}

func (t *treeReader) alias(tk *token.Token, name string) node {
	a, ok := t.anchors[name]
	if !ok {
		return t.problem(tk, fmt.Sprintf("the alias *%s has no anchor above it", name), fmt.Sprintf("write &%s before the value that is meant, further up in the same file", name))
	}
	t.nodes += a.nodes
	if t.aliased += a.nodes; t.aliased <= maxAliased {
		return a.node
	}
	if !t.bomb {
		t.problem(tk, "the aliases make the policy grow without bound", "use fewer aliases of aliases")
	}
	t.bomb = true
	return node{}
}

func (t *treeReader) mapping(start *token.Token, flow bool, values []*ast.MappingValueNode) node {
	n := node{kind: mapping}
	for _, v := range values {
		key := t.node(v.Key)
		value := t.node(v.Value)
		if isAbsent(v.Value) {
			value.line, value.column = key.line, key.column
		}
		n.items = append(n.items, key, value)
	}
	if flow || len(values) == 0 {
		n.line, n.column = t.place(start)
	} else {
		n.line, n.column = n.items[0].line, n.items[0].column
	}
	return n
}

func (t *treeReader) sequence(s *ast.SequenceNode) node {
	n := node{kind: sequence}
	n.line, n.column = t.place(s.Start)
	for i, v := range s.Values {
		value := t.node(v)
		if isAbsent(v) && i < len(s.Entries) {
			value.line, value.column = t.place(s.Entries[i].Start)
		}
		n.items = append(n.items, value)
	}
	return n
}

func isAbsent(n ast.Node) bool {
	null, ok := n.(*ast.NullNode)
	return ok && null.Token.Type == token.ImplicitNullType
}

func (t *treeReader) scalar(tk *token.Token) node {
	n := node{kind: scalar, text: tk.Value}
	n.line, n.column = t.place(tk)
	switch tk.Type {
	case token.ImplicitNullType:
		n.kind, n.text = null, ""
	case token.SingleQuoteType, token.DoubleQuoteType:
	default:
		n.kind = plainKind(tk.Value)
	}
	return n
}

// place returns where tk is. The library counts the blanks behind a plain
// scalar into its column, so the scalar is looked for in its line, backwards.
func (t *treeReader) place(tk *token.Token) (line, column int32) {
	line, column = int32(tk.Position.Line), int32(tk.Position.Column)
	if !isPlain(tk) || tk.Value == "" {
		return line, column
	}
	if t.line.number != line {
		t.line.number, t.line.text = line, []rune(t.source.line(int(line)))
	}
	value := []rune(tk.Value)
	for c := min(int(column), len(t.line.text)); c >= 1; c-- {
		if rest := t.line.text[c-1:]; len(rest) >= len(value) && slices.Equal(rest[:len(value)], value) {
			return line, int32(c)
		}
	}
	return line, column
}
