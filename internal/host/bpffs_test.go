// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFindBpffs(t *testing.T) {
	at := func(point, fstype string) mount { return mount{"/", point, fstype, "none"} }
	for name, c := range map[string]struct {
		all     []mount
		dir     string
		mounted bool
	}{
		"none":            {[]mount{at("/", "ext4")}, "/sys/fs/bpf", false},
		"the usual place": {[]mount{at("/run/bpf", "bpf"), at("/sys/fs/bpf", "bpf")}, "/sys/fs/bpf", true},
		"elsewhere":       {[]mount{at("/run/bpf", "bpf")}, "/run/bpf", true},
		"hidden":          {[]mount{at("/run/bpf", "bpf"), at("/run/bpf", "tmpfs")}, "/sys/fs/bpf", false},
	} {
		if dir, mounted := findBpffs(c.all); dir != c.dir || mounted != c.mounted {
			t.Errorf("%s: %s, %v; want %s, %v", name, dir, mounted, c.dir, c.mounted)
		}
	}
}

func TestBpffsComesAndGoes(t *testing.T) {
	namespace(t, unix.CLONE_NEWNS)
	dir := t.TempDir()
	for range 2 { // the second finds it mounted
		if err := MountBpffs(dir); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(dir); err != nil || !isBpffs(dir) || info.Mode().Perm() != 0o700 {
		t.Errorf("mounted %v with mode %v: %v", isBpffs(dir), info.Mode(), err)
	}
	all, err := mounts()
	if m, _ := mountAt(all, dir); err != nil || m.source == "none" {
		must(t, unix.Unmount(dir, 0))
		t.Skipf("the kernel does not show whose mount it is: %v", err)
	}
	kept := filepath.Join(dir, "kept")
	if err := os.Mkdir(kept, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := UnmountBpffs(dir); err != nil || !isBpffs(dir) {
		t.Errorf("a file system that holds something was unmounted: %v", err)
	}
	if err := os.Remove(kept); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second finds it gone
		if err := UnmountBpffs(dir); err != nil || isBpffs(dir) {
			t.Errorf("still mounted: %v", err)
		}
	}
}

func TestMountsOfOthersStay(t *testing.T) {
	namespace(t, unix.CLONE_NEWNS)
	for _, c := range []struct{ source, fstype string }{{"somebody", "bpf"}, {bpffsSource, "tmpfs"}} {
		dir := t.TempDir()
		if err := unix.Mount(c.source, dir, c.fstype, 0, ""); err != nil {
			t.Fatal(err)
		}
		if err := MountBpffs(dir); (err == nil) != (c.fstype == "bpf") {
			t.Errorf("mounting over %s: %v", c.fstype, err)
		}
		if err := UnmountBpffs(dir); err != nil {
			t.Error(err)
		}
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("the %s of %s is gone: %v", c.fstype, c.source, err)
		}
	}
}
