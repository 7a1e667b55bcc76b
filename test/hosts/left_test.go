// SPDX-License-Identifier: Apache-2.0

package hosts

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
)

// nothingLeft checks at the test's end that the machine is gone from this one:
// its processes, namespaces and mounts, and the cgroups that nspawn makes.
func nothingLeft(t *testing.T) {
	t.Helper()
	before := held(t)
	t.Cleanup(func() {
		if after := held(t); after != before {
			t.Errorf("something is left:\n%s\nbefore:\n%s", after, before)
		}
	})
}

func held(t *testing.T) string {
	t.Helper()
	lines := must[[]string](t)(lab.Held())
	for _, hierarchy := range []string{"/sys/fs/cgroup/*", "/sys/fs/cgroup/*/*", "/sys/fs/cgroup"} {
		for _, name := range []string{"payload", "supervisor", "init.scope", "machine.slice"} {
			found, _ := filepath.Glob(filepath.Join(hierarchy, name))
			lines = append(lines, found...)
		}
	}
	mounts := must[[]byte](t)(os.ReadFile("/proc/self/mountinfo"))
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, "/hosts/") || strings.Contains(line, "nspawn") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	for _, p := range []string{"/run/systemd/nspawn", "/run/systemd/machines"} {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			lines = append(lines, p)
		}
	}
	lines = append(lines, processes()...)
	return strings.Join(lines, "\n")
}

// processes are those whose root is not this process's: systemd and what it
// started, should they live on.
func processes() (alive []string) {
	var here unix.Stat_t
	_ = unix.Stat("/", &here)
	roots, _ := filepath.Glob("/proc/[0-9]*/root")
	for _, root := range roots {
		if _, err := os.Stat(root + "/usr/local/sbin/waymark"); err != nil {
			continue
		}
		var there unix.Stat_t
		if unix.Stat(root+"/", &there) == nil && there.Dev != here.Dev {
			alive = append(alive, "process "+strings.TrimSuffix(root, "/root"))
		}
	}
	return alive
}
