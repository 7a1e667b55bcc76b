// SPDX-License-Identifier: Apache-2.0

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const rulesFile = "../dist/prometheus/waymark.rules.yaml"

// promtool runs Prometheus's own tool in a directory with the rules.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Skipf("left out: %v (Debian's prometheus)", err)
	}
	dir := t.TempDir()
	for _, file := range []string{rulesFile, "testdata/prometheus/waymark.test.yaml"} {
		text := must[[]byte](t)(os.ReadFile(file))
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(program, args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v:\n%s", err, out)
	}
}

func TestRulesAreRight(t *testing.T) { promtool(t, "check", "rules", "waymark.rules.yaml") }

func TestAlerts(t *testing.T) { promtool(t, "test", "rules", "waymark.test.yaml") }
