// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReadNetworkd(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  Networkd
	}{
		"none": {nil, Networkd{true, true}},
		"a comment": {map[string]string{"etc/systemd/networkd.conf": "[Network]\n#ManageForeignRoutingPolicyRules=no\n"},
			Networkd{true, true}},
		"ours": {map[string]string{"etc/systemd/networkd.conf.d/waymark.conf": "[Network]\nManageForeignRoutingPolicyRules=no\nManageForeignRoutes = False\n"},
			Networkd{false, false}},
		"a later drop-in wins, wherever it is": {map[string]string{
			"etc/systemd/networkd.conf":               "[Network]\nManageForeignRoutes=no\n",
			"etc/systemd/networkd.conf.d/50-a.conf":   "[Network]\nManageForeignRoutingPolicyRules=no\n",
			"usr/lib/systemd/networkd.conf.d/60.conf": "[Network]\nManageForeignRoutingPolicyRules=yes\n"}, Networkd{true, false}},
		"of two of one name, the one in etc": {map[string]string{
			"etc/systemd/networkd.conf.d/a.conf":     "[Network]\nManageForeignRoutingPolicyRules=no\n",
			"usr/lib/systemd/networkd.conf.d/a.conf": "[Network]\nManageForeignRoutingPolicyRules=yes\n"}, Networkd{false, true}},
		"another section": {map[string]string{"etc/systemd/networkd.conf": "[DHCPv4]\nManageForeignRoutingPolicyRules=no\n"},
			Networkd{true, true}},
	} {
		root := t.TempDir()
		for file, text := range c.files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := ReadNetworkd(root); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
