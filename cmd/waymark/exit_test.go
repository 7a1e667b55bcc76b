// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"waymark/classes"
	"waymark/internal/datapath"
	"waymark/internal/plan"
)

// TestExit holds errors of every kind, as deep as they come, against the code
// and the text that a user gets.
func TestExit(t *testing.T) {
	const rights = ": run it as root, or with CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON\n"
	wrap := func(err error) error { return fmt.Errorf("apply: %w; everything is as it was before", err) }
	for _, c := range []struct {
		name string
		err  error
		code int
		text string
	}{
		{"done", nil, 0, ""},
		{"failed", errors.New("read rules: it broke"), 1, "waymark: read rules: it broke\n"},
		{"no such file", fmt.Errorf("read: %w", fs.ErrNotExist), 1, "waymark: read: file does not exist\n"},
		{"differs", errDiffers, 2, ""},
		{"bad policy", fmt.Errorf("check: %w", classes.Problems{{Text: "bad", Hint: "better"}}), 3, "waymark: check: bad\n  hint: better\n"},
		{"conflict", wrap(plan.Conflicts{{What: "table 7", Owner: "BIRD", Cure: "go"}}), 4, "waymark: apply: table 7 belongs to BIRD\n  hint: go; everything is as it was before\n"},
		{"a conflict among others", errors.Join(errors.New("one"), plan.Conflicts{{What: "a", Owner: "b", Cure: "c"}}), 4, "waymark: one\na belongs to b\n  hint: c\n"},
		{"the kernel lacks it", wrap(&datapath.Unsupported{Missing: []string{"maps of maps", "bpf_loop (5.17)"}}), 5,
			"waymark: apply: this kernel lacks maps of maps, bpf_loop (5.17): Linux 6.1 has all that is needed; everything is as it was before\n"},
		{"no such system call", fmt.Errorf("bpf: %w", syscall.ENOSYS), 5, "waymark: bpf: function not implemented\n"},
		{"EPERM", fmt.Errorf("add rule: %w", syscall.EPERM), 5, "waymark: add rule: operation not permitted" + rights},
		{"EACCES", &fs.PathError{Op: "open", Path: "/sys/fs/bpf", Err: syscall.EACCES}, 5, "waymark: open /sys/fs/bpf: permission denied" + rights},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stderr bytes.Buffer
			if code := (env{stderr: &stderr}).exit(c.err); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if stderr.String() != c.text {
				t.Errorf("it says %q, want %q", stderr.String(), c.text)
			}
		})
	}
}
