// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestImportDropIns has half of a network in a drop-in, as `systemctl edit` and
// cloud images leave it.
func TestImportDropIns(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "20-lte.network")
	for name, text := range map[string]string{
		file: "[Match]\nName=wwan0\n[Route]\nGateway=10.64.0.1\nTable=100",
		filepath.Join(file+".d", "10-rules.conf"): "[RoutingPolicyRule]\nUser=1000\nTable=100\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	imported, err := ImportFiles([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(imported.Policy, "uid: 1000") {
		t.Errorf("the drop-in's rule is lost:\n%s", imported.Policy)
	}
}
