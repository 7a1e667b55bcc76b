// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestReadNetworkManager(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"etc/NetworkManager/NetworkManager.conf":               "[main]\nplugins=keyfile\n",
		"etc/NetworkManager/conf.d/tables.conf":                "[connection-lte]\nmatch-device=interface-name:wwan0\nipv6.route-table=200\n[ipv4]\nroute-table=7\n",
		"etc/NetworkManager/system-connections/a.nmconnection": "[connection]\nid=Wired 1\n\n[ipv4]\nmethod=auto\nroute-table = 100\n[ipv6]\nroute-table=0\n",
		"etc/NetworkManager/system-connections/b.nmconnection": "[connection]\nid=plain\n[ipv4]\nroute1=192.0.2.0/24\nroute1_options=table=5\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := []Connection{
		{Family: "ipv6", Table: "200", File: filepath.Join(root, "etc/NetworkManager/conf.d/tables.conf")},
		{Name: "Wired 1", Family: "ipv4", Table: "100", File: filepath.Join(root, "etc/NetworkManager/system-connections/a.nmconnection")},
	}
	if got := ReadNetworkManager(root); !slices.Equal(got, want) {
		t.Errorf("read %+v, want %+v", got, want)
	}
}
