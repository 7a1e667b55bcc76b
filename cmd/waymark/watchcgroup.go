// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
)

// checkWatchedCgroup refuses what no socket's cgroup is ever called: a watch
// for it would wait in silence.
func checkWatchedCgroup(path string) error {
	names := strings.Split(path, "/")
	switch {
	case slices.Contains(names, ".."):
		return fmt.Errorf("--cgroup %s: it goes up by ..: write the path from the root of the cgroup tree", path)
	case strings.HasPrefix(strings.TrimLeft(path, "/")+"/", "sys/fs/cgroup/"):
		return fmt.Errorf("--cgroup %s: it begins where the tree is mounted: write the path from its root, as in /proc/PID/cgroup", path)
	case strings.Contains(path, "*"):
		return fmt.Errorf("--cgroup %s: it is a pattern: write one cgroup, and what is below it is told of too", path)
	}
	return nil
}
