// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ContainerCgroup is the cgroup of a container by one of its processes, below
// the cgroup root: the part of the process's path that ends with a name made of
// the container's id, for what is below that is the container's own doing. It
// is "" if there is none: some containers share their cgroup with others.
func ContainerCgroup(root string, pid int, id string) string {
	path, _, err := Process(root, pid)
	if err != nil {
		return ""
	}
	return upTo(path, id)
}

// upTo takes the last such name: containerd's ids are people's own words, and
// may be those of what is above.
func upTo(path, id string) string {
	names := strings.Split(path, "/")
	for i := len(names) - 1; i >= 0 && id != ""; i-- {
		if of, ok := strings.CutSuffix(strings.TrimSuffix(names[i], ".scope"), id); ok && (of == "" || strings.ContainsAny(of[len(of)-1:], "-_:")) {
			return strings.Join(names[:i+1], "/")
		}
	}
	return ""
}

// CgroupTree is where the cgroup tree that a process sees begins, below the
// cgroup root: "" for one that begins there or above, as on the host itself.
// A process in a container with a cgroup namespace sees a part of the tree.
func CgroupTree(root string, pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return ""
	}
	top, err := CgroupRoot()
	if err != nil {
		return ""
	}
	seen, err := parseMounts(text)
	if err != nil {
		return ""
	}
	var tree *mount
	for i, m := range seen { // below /sys/fs/cgroup may be another, of hybrid mode
		if m.fstype == "cgroup2" && (tree == nil || len(m.point) <= len(tree.point)) {
			tree = &seen[i]
		}
	}
	if tree == nil {
		return ""
	}
	path, err := filepath.Rel(root, filepath.Join(top, tree.root))
	if err != nil || path == "." || strings.HasPrefix(path, "..") {
		return ""
	}
	return path
}
