// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// bpffs is where everybody expects the BPF file system.
const bpffs = "/sys/fs/bpf"

// bpffsSource is the source of a mount that is ours.
const bpffsSource = "waymark"

// Bpffs returns where a BPF file system is mounted, /sys/fs/bpf rather than
// elsewhere. When none is, dir is where one belongs.
func Bpffs() (dir string, mounted bool, err error) {
	if isBpffs(bpffs) { // the agent asks all the time, and the list of mounts is long on a host of containers
		return bpffs, true, nil
	}
	all, err := mounts()
	if err != nil {
		return "", false, err
	}
	dir, mounted = findBpffs(all)
	return dir, mounted, nil
}

// isBpffs tells whether a BPF file system is to be seen at dir.
func isBpffs(dir string) bool {
	var s unix.Statfs_t
	return unix.Statfs(dir, &s) == nil && s.Type == unix.BPF_FS_MAGIC
}

func findBpffs(all []mount) (dir string, mounted bool) {
	if m, ok := mountAt(all, bpffs); ok && m.fstype == "bpf" {
		return bpffs, true
	}
	for _, m := range all {
		if top, _ := mountAt(all, m.point); top.fstype == "bpf" {
			return m.point, true
		}
	}
	return bpffs, false
}

// mountAt is the mount to be seen at a point: the last one made there.
func mountAt(all []mount, point string) (mount, bool) {
	for _, m := range slices.Backward(all) {
		if m.point == point {
			return m, true
		}
	}
	return mount{}, false
}

// MountBpffs mounts a BPF file system at dir, for root only, if none is
// mounted there. It refuses to hide another file system.
func MountBpffs(dir string) error {
	all, err := mounts()
	if err != nil {
		return err
	}
	if m, ok := mountAt(all, filepath.Clean(dir)); ok {
		if m.fstype == "bpf" {
			return nil
		}
		return fmt.Errorf("mount bpffs at %s: a file system of type %s is mounted there: unmount it or name another directory", dir, m.fstype)
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_RELATIME
	if err := unix.Mount(bpffsSource, dir, "bpf", flags, "mode=0700"); err != nil {
		return fmt.Errorf("mount bpffs at %s: %w", dir, err)
	}
	return nil
}

// UnmountBpffs unmounts what MountBpffs mounted at dir, if nothing is left
// in it. A BPF file system that is somebody else's, or holds anything,
// stays, and that is no error. So does any on kernels before 5.17, which do
// not tell whose it is.
func UnmountBpffs(dir string) error {
	all, err := mounts()
	if err != nil {
		return err
	}
	m, ok := mountAt(all, filepath.Clean(dir))
	if !ok || m.fstype != "bpf" || m.source != bpffsSource {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil || slices.ContainsFunc(entries, pinned) {
		return err
	}
	if err := unix.Unmount(dir, 0); err != nil {
		return fmt.Errorf("unmount bpffs at %s: %w", dir, err)
	}
	return nil
}

// pinned tells whether somebody put an entry into a BPF file system: all
// but two that some kernels put into every one (CONFIG_BPF_PRELOAD).
func pinned(e os.DirEntry) bool { return e.Name() != "maps.debug" && e.Name() != "progs.debug" }
