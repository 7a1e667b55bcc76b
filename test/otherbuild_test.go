// SPDX-License-Identifier: Apache-2.0

package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// otherBinary is the binary with another build of the programs: it counts
// something more, in the midst of a line of counters.
func otherBinary(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("clang-19"); err != nil {
		t.Skip("no clang-19: another build of the programs cannot be made")
	}
	dir := filepath.Join(t.TempDir(), "source")
	for _, name := range []string{"bpf", "go.mod", "go.sum"} {
		run(t, "..", "cp", "-r", name, dirFor(t, dir))
	}
	replaceIn(t, filepath.Join(dir, "bpf/contract/counters.h"), "\t__u64 bytes;\n", "\t__u64 bytes;\n\t__u64 calls;\n")
	replaceIn(t, filepath.Join(dir, "bpf/leave.h"), "\tc->bytes += skb->wire_len;\n", "\tc->bytes += skb->wire_len;\n\tc->calls += 1;\n")
	run(t, dir, "go", "generate", "./bpf")
	replace := map[string]string{}
	for _, name := range []string{"bpf/waymark_bpfel.go", "bpf/waymark_bpfel.o"} {
		replace[name] = filepath.Join(dir, name)
	}
	return buildWith(t, replace)
}

// lackingBinary is the binary on a kernel that lacks something: a probe, a
// function without arguments in a file, finds that it is not there.
func lackingBinary(t *testing.T, file, probe string) string {
	t.Helper()
	changed := filepath.Join(t.TempDir(), filepath.Base(file))
	run(t, "..", "cp", file, changed)
	replaceIn(t, changed, "func "+probe+"() bool {\n", "func "+probe+"() bool {\n\tif true {\n\t\treturn false\n\t}\n")
	return buildWith(t, map[string]string{file: changed})
}

// buildWith is the binary with other files in the place of some of its own.
func buildWith(t *testing.T, files map[string]string) string {
	t.Helper()
	replace, dir := map[string]string{}, t.TempDir()
	for ours, other := range files {
		replace[must[string](t)(filepath.Abs(filepath.Join("..", ours)))] = other
	}
	overlay := filepath.Join(dir, "overlay.json")
	text := must[[]byte](t)(json.Marshal(map[string]any{"Replace": replace}))
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "waymark")
	run(t, "..", "go", "build", "-trimpath", "-buildvcs=false", "-overlay", overlay, "-o", binary, "./cmd/waymark")
	return binary
}

func dirFor(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	c := exec.Command(args[0], args[1:]...)
	c.Dir, c.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func replaceIn(t *testing.T, file, old, new string) {
	t.Helper()
	text := string(must[[]byte](t)(os.ReadFile(file)))
	if !strings.Contains(text, old) {
		t.Fatalf("%s has no %q", file, old)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(text, old, new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}
