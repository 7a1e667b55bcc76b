// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waymark/classes"
	"waymark/internal/plan"
	"waymark/loader"
)

// TestDropIns saves moves whose subjects read alike in the name of a file, or
// are no text for a comment: each has a file of its own, which is a policy's, is
// written anew by another move of it, and goes alone.
func TestDropIns(t *testing.T) {
	dir := t.TempDir()
	saved := func() map[string]bool {
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		all := map[string]bool{}
		for _, file := range files {
			all[file] = true
		}
		return all
	}
	subjects := []string{"a/b", "a-b", "a:b", "two words", "two\u2028lines\nof it", strings.Repeat("é", 127), strings.Repeat("é", 127) + "/x"}
	of := map[string]string{}
	for _, to := range []string{"bulk", "other"} {
		for _, subject := range subjects {
			o := loader.Override{Author: "some\nbody", Override: plan.Override{Subject: subject, To: to, Match: classes.Match{Cgroup: []string{"x"}}}}
			file, err := saveMove(dir, o)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(file)
			if _, bad := classes.Parse("p", append([]byte(policyOfMoves), text...)); bad != nil || err != nil {
				t.Errorf("of %q: %v %v in\n%s", subject, err, bad, text)
			}
			of[subject] = file
		}
		if all := saved(); len(all) != len(subjects) {
			t.Fatalf("%d subjects are saved in %d files: %v", len(subjects), len(all), of)
		}
	}
	for n, subject := range subjects {
		file, err := forgetMove(dir, loader.Override{Override: plan.Override{Subject: subject}})
		if all := saved(); err != nil || file != of[subject] || all[file] || len(all) != len(subjects)-n-1 {
			t.Errorf("of %q went %s (%v), and there are %v", subject, file, err, all)
		}
	}
}

const policyOfMoves = "uplinks: [{name: a, interface: eth0}]\nclasses: [{name: bulk, route: a, match: {uid: 1}}, {name: other, route: a, match: {uid: 2}}]\n"
