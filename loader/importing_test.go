// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// files writes some, each by its path, and returns where.
func files(t *testing.T, texts map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range texts {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestImportDropIns has half of a network in a drop-in, as `systemctl edit` and
// cloud images leave it, and the name of its table in one without a main file.
func TestImportDropIns(t *testing.T) {
	dir := files(t, map[string]string{
		"20-lte.network":                 "[Match]\nName=wwan0\n[Route]\nGateway=10.64.0.1\nTable=lte",
		"20-lte.network.d/10-rules.conf": "[RoutingPolicyRule]\nUser=1000\nTable=lte\n",
		"networkd.conf.d/tables.conf":    "[Network]\nRouteTable=lte:100\n",
	})
	imported, err := ImportFiles([]string{filepath.Join(dir, "20-lte.network"), filepath.Join(dir, "networkd.conf")})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(imported.Policy, "uid: 1000") {
		t.Errorf("the drop-in's rule is lost:\n%s", imported.Policy)
	}
}

// TestFilesOfSystemd has files of one name in several of systemd's places: the first
// place's count, in the order of their names.
func TestFilesOfSystemd(t *testing.T) {
	network := "[Match]\nName=%s\n[Route]\nGateway=10.64.0.1\nTable=lte\n[RoutingPolicyRule]\nUser=1000\nTable=lte\n"
	dir := files(t, map[string]string{
		"etc/network/20-b.network":            strings.ReplaceAll(network, "%s", "eth1"),
		"run/network/20-b.network":            strings.ReplaceAll(network, "%s", "eth2"),
		"run/network/10-a.network":            "[Match]\nName=eth0\n[Network]\nGateway=192.0.2.1\n",
		"lib/network/05-c.network":            strings.ReplaceAll(network, "%s", "host0"),
		"run/networkd.conf":                   "[Network]\nRouteTable=lte:7\n",
		"lib/networkd.conf":                   "[Network]\nRouteTable=lte:6\n",
		"etc/networkd.conf.d/20-b.conf":       "",
		"lib/networkd.conf.d/20-b.conf":       "[Network]\nRouteTable=\n",
		"lib/networkd.conf.d/10-a.conf":       "[Network]\nRouteTable=\nRouteTable=lte:8\n",
		"lib/network/20-b.network.d/one.conf": "[RoutingPolicyRule]\nUser=1001\nTable=8\n",
	})
	defer func(places []string) { systemdPlaces = places }(systemdPlaces)
	systemdPlaces = []string{filepath.Join(dir, "etc"), filepath.Join(dir, "run"), filepath.Join(dir, "lib")}
	imported, err := ImportFiles(routingFiles())
	if err != nil {
		t.Fatal(err)
	}
	for text, there := range map[string]bool{"interface: eth0": true, "interface: eth1": true, "eth2": false, "host0": false, "uid: 1000": true, "uid: 1001": true, "carried over:": false} {
		if strings.Contains(imported.Policy, text) != there {
			t.Errorf("%q: want %t in\n%s", text, there, imported.Policy)
		}
	}
}
