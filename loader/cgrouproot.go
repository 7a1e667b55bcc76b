// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"waymark/internal/host"
	"waymark/internal/match"
)

// cgroupTop is the cgroup of a directory.
func cgroupTop(root string) (top match.Root, err error) {
	if top.Level, err = cgroupLevel(root); err != nil {
		return top, err
	}
	top.ID, err = host.CgroupID(root, "")
	return top, err
}

func cgroupLevel(root string) (int, error) {
	const cure = "name a directory of the cgroup2 file system that `findmnt -t cgroup2` shows"
	if info, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("open the cgroup root %s: it does not exist: %s", root, cure)
	} else if err != nil {
		return 0, fmt.Errorf("open the cgroup root: %w", err)
	} else if !info.IsDir() {
		return 0, fmt.Errorf("open the cgroup root %s: it is no directory: %s", root, cure)
	}
	level, exact, err := host.CgroupLevel(root)
	if err != nil || !exact {
		return anyLevel, err
	}
	return level, nil
}
