// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// CgroupRoot returns where the cgroup2 hierarchy is mounted, hybrid mounts
// included; the mount of its top if there are several.
func CgroupRoot() (string, error) {
	all, err := mounts()
	if err != nil {
		return "", err
	}
	for _, point := range cgroupPoints(all) {
		if isCgroup2(point) == nil {
			return point, nil
		}
	}
	return "", errors.New("find cgroup2: no cgroup2 file system is mounted where this process can see it: " +
		"run outside of `ip netns exec`, which hides it (`nsenter --net=/run/netns/NAME` does not), " +
		"or mount it: mount -t cgroup2 none /sys/fs/cgroup")
}

// cgroupPoints are the mount points of cgroup2, those of its top first.
func cgroupPoints(all []mount) []string {
	var tops, parts []string
	for _, m := range all {
		switch {
		case m.fstype != "cgroup2":
		case m.root == "/":
			tops = append(tops, m.point)
		default:
			parts = append(parts, m.point)
		}
	}
	return append(tops, parts...)
}

func isCgroup2(dir string) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if s.Type != unix.CGROUP2_SUPER_MAGIC {
		return fmt.Errorf("%s is not on a cgroup2 file system: name a directory of the one that `findmnt -t cgroup2` shows", dir)
	}
	return nil
}

// CgroupID returns the id of the cgroup at a path below root, the number
// that BPF programs see. root itself is "". The error is an fs.ErrNotExist
// when there is no such cgroup.
func CgroupID(root, below string) (uint64, error) {
	ids, err := Cgroups(root, []string{below})
	if err != nil {
		return 0, err
	}
	id, ok := ids[below]
	if !ok {
		return 0, &fs.PathError{Op: "find cgroup", Path: below, Err: fs.ErrNotExist}
	}
	return id, nil
}

// Cgroups returns the ids of those cgroups below root that exist, by path
// as given. No path leads out of root or off its file system.
func Cgroups(root string, paths []string) (map[string]uint64, error) {
	if err := isCgroup2(root); err != nil {
		return nil, fmt.Errorf("find cgroups: %w", err)
	}
	dir, err := os.Open(root)
	if err != nil {
		return nil, fmt.Errorf("find cgroups: %w", err)
	}
	defer dir.Close()
	ids := make(map[string]uint64, len(paths))
	for _, p := range paths {
		id, err := cgroupID(int(dir.Fd()), p)
		switch {
		case err == nil:
			ids[p] = id
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("find cgroup %s: %w: name a directory of the cgroup2 file system below %s", p, err, root)
		}
	}
	return ids, nil
}

// cgroupID is the inode of a directory on the same mount as root: on
// cgroup2 that is the cgroup's id.
func cgroupID(root int, p string) (uint64, error) {
	fd, err := unix.Openat2(root, path.Join(".", strings.TrimLeft(p, "/")), &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	})
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	var there unix.Stat_t
	err = unix.Fstat(fd, &there)
	return there.Ino, err
}
