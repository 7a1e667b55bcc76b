// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Process is what a process's sockets would be classed by: its cgroup2 path
// below the cgroup root, "" if it is not below it, and its effective uid.
func Process(root string, pid int) (cgroup string, uid uint32, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if errors.Is(err, fs.ErrNotExist) {
		return "", 0, fmt.Errorf("look at process %d: there is none: name one that `ps` shows", pid)
	}
	if err != nil {
		return "", 0, fmt.Errorf("look at process %d: %w", pid, err)
	}
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return "", 0, fmt.Errorf("look at process %d: %w", pid, err)
	}
	top, err := CgroupRoot()
	if err != nil {
		return "", 0, err
	}
	absolute := filepath.Join(top, cgroup2Path(string(groups)))
	if path, err := filepath.Rel(root, absolute); err == nil && path != "." && !strings.HasPrefix(path, "..") {
		cgroup = path
	}
	return cgroup, effectiveUID(string(status)), nil
}

// cgroup2Path finds the line of the unified hierarchy in /proc/PID/cgroup.
func cgroup2Path(text string) string {
	for line := range strings.Lines(text) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			return strings.TrimSuffix(path, "\n")
		}
	}
	return "/"
}

func effectiveUID(status string) uint32 {
	for line := range strings.Lines(status) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == "Uid:" {
			uid, _ := strconv.ParseUint(fields[2], 10, 32)
			return uint32(uid)
		}
	}
	return 0
}
