// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
)

// guestModules are what the tests need and Debian does not build in. The
// guest loads no module by itself.
var guestModules = []string{
	"veth", "bridge", "bonding", "8021q", "dummy", "vrf", "sch_ingress", "cls_bpf", "cls_u32", "act_bpf", "act_gact",
	"nf_tables", "nft_ct", "nft_nat", "nft_chain_nat", "nft_reject_inet", "tun", "inet_diag", "tcp_diag", "udp_diag", "raw_diag",
	"ipip", "ip_gre", "ip6_tunnel", "ip6_gre", "vxlan", "wireguard",
}

// guestPrograms are what the laboratory shows states by, and what tests set
// other people's configuration with. One that the host lacks is left out.
var guestPrograms = []string{"sh", "ip", "tc", "nft", "sysctl", "nsenter", "unshare", "sleep", "wg"}

// writeInitramfs packs this program as the first process, the kernel's
// modules, the command, its testdata, and what else the guest is to have.
func (m *machine) writeInitramfs(file string, command []string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	o, err := m.order(command)
	if err != nil {
		return err
	}
	a := &archive{to: f}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	a.copyFile("/init", self)
	a.device("/dev/console", 5, 1)
	if o.Modules, err = m.addModules(a); err != nil {
		return err
	}
	if err := addPrograms(a, guestPrograms); err != nil {
		return err
	}
	a.copyFile(o.Command[0], o.Command[0])
	a.copyFolder(filepath.Join(o.Folder, "testdata"))
	for path, file := range m.files {
		a.copyFile(path, file)
	}
	for _, folder := range []string{o.Folder, "/tmp", "/root", "/run"} {
		a.folder(folder)
	}
	a.file("/etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\n"))
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	a.file(orderPath, 0o644, text)
	return a.end()
}

// order has the command run at its path and in the folder of this process,
// as `go test` expects.
func (m *machine) order(command []string) (order, error) {
	binary, err := filepath.Abs(command[0])
	if err != nil {
		return order{}, err
	}
	folder, err := os.Getwd()
	if err != nil {
		return order{}, err
	}
	return order{
		Command: append([]string{binary}, command[1:]...),
		Folder:  folder,
		Env:     append([]string{"PATH=/sbin:/bin:/usr/sbin:/usr/bin", "HOME=/root", "TMPDIR=/tmp"}, m.env...),
	}, nil
}

// copyFolder adds the regular files below a folder of the host, at the same
// paths. No folder is no error.
func (a *archive) copyFolder(root string) {
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			a.copyFile(path, path)
		}
		return nil
	})
}

// copyFile adds a file of the host.
func (a *archive) copyFile(path, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		a.fail(err)
		return
	}
	a.file(path, 0o755, data)
}
