// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"waymark/classes"
)

// TestUnconfirmed reads what was tried, by whatever name it was read then, and garbage
// in its place.
func TestUnconfirmed(t *testing.T) {
	const text, other = "uplinks: [{name: a, interface: up-a}]\n", "uplinks: [{name: b, interface: up-b}]\n"
	policy, err := classes.ParseFiles(classes.File{Name: "policy.yaml", Text: text})
	if err != nil {
		t.Fatal(err)
	}
	digest := textsOf([]classes.File{{Name: "/etc/waymark/policy.yaml", Text: text}})
	for _, c := range []struct {
		name, kept string
		is, before bool
		err        string
	}{
		{"nothing", "", false, false, ""},
		{"the same", fmt.Sprintf(`{"format": 1, "digest": %q, "before": [{"Name": "x", "Text": %q}]}`, digest, other), true, true, ""},
		{"the first", fmt.Sprintf(`{"format": 1, "digest": %q, "before": []}`, digest), true, false, ""},
		{"others", `{"format": 1, "digest": "77", "before": []}`, false, false, ""},
		{"garbage", "\x00\xff", false, false, "invalid character"},
		{"cut off", `{"format": 1, "dig`, false, false, "unexpected end"},
		{"of another build", `{"format": 9}`, false, false, "it has format 9 and this binary knows 1"},
		{"a policy that is wrong by now", fmt.Sprintf(`{"format": 1, "digest": %q, "before": [{"Name": "x", "Text": "no: such"}]}`, digest), true, false, "no: such"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &Loader{options: Options{StateDir: t.TempDir()}}
			if c.kept != "" {
				if err := os.WriteFile(l.triedFile(), []byte(c.kept), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			is, before, err := l.Unconfirmed(policy)
			if is != c.is || (before != nil) != c.before {
				t.Errorf("it is: %v, with a policy before: %v", is, before != nil)
			}
			if text := fmt.Sprint(err); (err != nil) != (c.err != "") || !strings.Contains(text, c.err) && err != nil {
				t.Errorf("%v, want %q", err, c.err)
			}
			if err := l.forgetTried(); err != nil || exists(l.triedFile()) {
				t.Errorf("forget it: %v", err)
			}
		})
	}
}
