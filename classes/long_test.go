// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTheShortWayIsNoOther reads policies by the short way and by the YAML
// library alone: what they say, and what is wrong with them, is the same.
func TestTheShortWayIsNoOther(t *testing.T) {
	head := "uplinks:\n  - {name: a, interface: eth0}\nclasses:\n  - name: c\n    route: a\n    match:\n"
	texts := map[string]string{}
	for name, item := range map[string]string{
		"an escape":           `{dst: "192.0.2.\x31", dport: 7}`,
		"two lines":           "{dst: 192.0.2.1,\n         dport: 7}",
		"an open bracket":     "{dst: 192.0.2.1",
		"more behind it":      "{dst: 192.0.2.1} x",
		"a comment":           "{dst: 192.0.2.1}   # {",
		"a comment too close": "{dst: 192.0.2.1}# {",
		"no comma":            "{dst: 192.0.2.1 dport: 7}",
		"an anchor":           "&x {dst: 192.0.2.1}",
		"a wrong value":       "{dst: 192.0.2.x, dport: 0}",
		"an unknown key":      "{dst: 192.0.2.1, port: 7}",
		"no mapping":          "{}",
		"a list":              "[192.0.2.1]",
		"deep":                "{dst: [[[[[[[[[[[[[[[[[[192.0.2.1]]]]]]]]]]]]]]]]]]}",
	} {
		texts[name] = head + "      - {uid: 1}\n      - " + item + "\n      - {dst: 192.0.2.2, dport: [8, 9]}\n      - uid: 2\n"
	}
	files, _ := filepath.Glob("testdata/*/*.yaml")
	for _, file := range append(files, "testdata/design.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	for name, text := range texts {
		short, long := newSource("x.yaml", []byte(text)), newSource("x.yaml", []byte(text))
		long.long = true
		want, wantErr := compile([]*source{long}, nil)
		got, gotErr := compile([]*source{short}, nil)
		if diff := cmp.Diff(fmt.Sprint(wantErr), fmt.Sprint(gotErr)); diff != "" {
			t.Errorf("%s: other errors (- library, + short):\n%s", name, diff)
		}
		if wantErr == nil && gotErr == nil {
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(Policy{}), cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".sources" }, cmp.Ignore()), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("%s: another policy (- library, + short):\n%s", name, diff)
			}
		}
	}
}

// TestOneOddItemAmongMany has the items of a long list read on all CPUs when
// one of them turns out not to be plain.
func TestOneOddItemAmongMany(t *testing.T) {
	const n = 3*partSize + 1
	for _, odd := range []int{0, n / 2, n - 1} {
		var text strings.Builder
		text.WriteString("uplinks:\n  - {name: a, interface: eth0}\nclasses:\n  - name: c\n    route: a\n    match:\n")
		for i := range n {
			value := fmt.Sprint(1 + i)
			if i == odd {
				value = fmt.Sprintf(`"%d\x30"`, 1+i/10)
			}
			fmt.Fprintf(&text, "      - {dst: 10.%d.%d.1, dport: %s}\n", i>>8, i&255, value)
		}
		lines := account(t, text.String())
		if len(lines) != n || !strings.Contains(lines[odd], fmt.Sprintf("dport: %d0", 1+odd/10)) {
			t.Errorf("item %d of %d: %d lines, and its line is %q", odd, n, len(lines), lines[min(odd, len(lines)-1)])
		}
	}
}
