// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// initialCgroupNamespace is PROC_CGROUP_INIT_INO, the inode of the cgroup
// namespace the host booted with.
const initialCgroupNamespace = 0xEFFFFFFB

// CgroupLevel returns how many levels a directory of a cgroup2 file system
// lies below the top of the hierarchy, the level that
// bpf_get_current_ancestor_cgroup_id takes. It is exact only in the initial
// cgroup namespace; in another one the real top is out of sight, and level
// counts from the highest cgroup that is not.
func CgroupLevel(root string) (level int, exact bool, err error) {
	if err := isCgroup2(root); err != nil {
		return 0, false, fmt.Errorf("find cgroup level: %w", err)
	}
	dir, err := realPath(root)
	if err != nil {
		return 0, false, fmt.Errorf("find cgroup level: %w", err)
	}
	all, err := mounts()
	if err != nil {
		return 0, false, err
	}
	namespace, err := os.Stat("/proc/thread-self/ns/cgroup")
	if err != nil {
		return 0, false, fmt.Errorf("find cgroup level: %w", err)
	}
	level, below := levelOf(all, dir)
	initial := namespace.Sys().(*syscall.Stat_t).Ino == initialCgroupNamespace
	return level, below && initial, nil
}

// treePath is a directory of a cgroup2 file system as /proc/PID/cgroup names
// its cgroup, wherever it is mounted.
func treePath(root string) (string, error) {
	dir, err := realPath(root)
	if err != nil {
		return "", err
	}
	all, err := mounts()
	if err != nil {
		return "", err
	}
	m := mountOf(all, dir)
	return filepath.Join("/", m.root, strings.TrimPrefix(dir, m.point)), nil
}

func realPath(dir string) (string, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	return filepath.Abs(dir)
}

// mountOf is the mount of cgroup2 that a directory lies on; zero for none.
func mountOf(all []mount, dir string) (best mount) {
	for _, m := range all {
		rest, inside := strings.CutPrefix(dir, m.point)
		inside = inside && (rest == "" || rest[0] == '/' || m.point == "/")
		if m.fstype == "cgroup2" && inside && len(m.point) >= len(best.point) {
			best = m
		}
	}
	return best
}

// levelOf counts the directories between the top of the cgroup2 hierarchy
// and dir, and tells whether the mount dir lies on shows where it is itself.
func levelOf(all []mount, dir string) (level int, below bool) {
	best := mountOf(all, dir)
	rest := strings.TrimPrefix(dir, best.point)
	above := strings.Contains(best.root, "..") // the mount's root lies outside this cgroup namespace
	return depth(best.root) + depth(rest), best.point != "" && !above
}

// depth is how many names a path has.
func depth(p string) int {
	n := 0
	for name := range strings.SplitSeq(p, "/") {
		if name != "" && name != ".." {
			n++
		}
	}
	return n
}
