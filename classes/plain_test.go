// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPlainIsTakenForUsualPolicies fails when the short way is never taken.
func TestPlainIsTakenForUsualPolicies(t *testing.T) {
	text, err := os.ReadFile("testdata/design.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse("design.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	block := "a:\n- b\n- c: d\n  e:\n  - f # g\nh:\n    - 'i j'\n"
	for name, text := range map[string]string{"written": string(text), "printed": p.String(), "block": block} {
		if _, ok := readAllPlain(text); !ok {
			t.Errorf("the %s policy is left to the YAML library", name)
		}
	}
}

func TestPlainRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"an anchor":                 "a: &x b\n",
		"an alias":                  "a: *x\n",
		"a tag":                     "a: !!str b\n",
		"a block scalar":            "a: |\n  b\n",
		"a text of two lines":       "a: b\n  c\n",
		"a list over two lines":     "a: [b,\n  c]\n",
		"an escape":                 "a: \"\\x41\"\n",
		"a doubled quote":           "a: 'b''c'\n",
		"an unclosed quote":         "a: 'b\n",
		"blanks in a plain scalar":  "a: b c\n",
		"a tab":                     "a:\tb\n",
		"a second document":         "a: b\n---\nc: d\n",
		"an indented beginning":     " a: b\n",
		"a key that ends early":     "a: b\n c: d\n",
		"a dedent to nowhere":       "a:\n    b: c\n  d: e\n",
		"a missing bracket":         "a: [b\n",
		"a missing comma":           "a: [b c]\n",
		"a key without a value":     "a: {b}\n",
		"an address ending a colon": "a: 2001:db8::\n",
		"a complex key":             "? a\n: b\n",
		"a lone dash":               "a:\n  -\n    b\n",
		"deep nesting":              "a: [[[[[[[[[[[[[[[[[[[[b]]]]]]]]]]]]]]]]]]]]\n",
	} {
		t.Run(name, func(t *testing.T) {
			if n, ok := readAllPlain(text); ok {
				t.Errorf("read %q as %+v", text, n)
			}
		})
	}
}

// FuzzPlain proves that the short way is only short: what it takes, the YAML
// library reads as the same tree, down to the columns.
func FuzzPlain(f *testing.F) {
	seeds(f)
	for _, text := range []string{
		"a:\n- b\n- c\nd: e\n", "- {a: b, c: [d, ::/0, 2001:db8::/32]} # e\n", "a:\n  # b\n\n  c: 'd e'\n",
		"---\na: \"x y\"\n", "a: {}\nb: []\n", "a: ~\nb: true\nc: null\n", "- a: b\n  c:\n  - d\n- e:\n", "a:   b   \n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := newSource("x.yaml", []byte(text))
		if s.badCharacter() != nil {
			return
		}
		short, ok := readAllPlain(s.text)
		if !ok {
			return
		}
		long, problems := readYAML(s)
		if problems != nil {
			t.Fatalf("read %q; the library says\n%v", text, problems)
		}
		if diff := cmp.Diff(long, short, cmp.AllowUnexported(node{})); diff != "" {
			t.Fatalf("read %q differently (- library, + short):\n%s", text, diff)
		}
	})
}

// readAllPlain is readPlain with every item read.
func readAllPlain(text string) (node, bool) {
	n, ok := readPlain(text)
	return n, ok && readItems(&n)
}

func readItems(n *node) bool {
	if n.kind == unread {
		read, ok := new(plainReader).readItem(n)
		*n = *read
		return ok
	}
	for i := range n.items {
		if !readItems(&n.items[i]) {
			return false
		}
	}
	return true
}

// seeds adds all test policies to a fuzz target.
func seeds(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal("no test policies", err)
	}
	for _, file := range append(files, "testdata/design.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
}
