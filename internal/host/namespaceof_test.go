// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// sleeper is a process in a cgroup, started with clone flags, until the test's end.
func sleeper(t *testing.T, cgroup string, flags uintptr) (netns uint64) {
	t.Helper()
	dir, err := os.Open(cgroup)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	c := exec.Command("sleep", "1000")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, UseCgroupFD: true, CgroupFD: int(dir.Fd()), Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	var there unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/net", c.Process.Pid), &there); err != nil {
		t.Fatal(err)
	}
	return there.Ino
}

func TestNamespacesOf(t *testing.T) {
	root, own := subtree(t, "elsewhere", "elsewhere/below", "here")
	id := func(below string) uint64 {
		id, err := CgroupID(root, filepath.Join(own, below))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	netns := sleeper(t, filepath.Join(root, own, "elsewhere/below"), syscall.CLONE_NEWNET)
	sleeper(t, filepath.Join(root, own, "here"), 0)
	for _, c := range []struct {
		root, cgroup string
		found        bool
	}{
		{"", "elsewhere/below", true},
		{"", "elsewhere", true},
		{own, "elsewhere", true},
		{own, "", true},
		{own + "/here", "elsewhere", false}, // it does not lie below
		{"", "here", false},                 // the calling thread's own
	} {
		all, err := NamespacesOf(filepath.Join(root, c.root), func() (map[uint64]bool, error) {
			return map[uint64]bool{id(c.cgroup): true}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range all {
			defer n.Close()
		}
		if found := len(all) == 1 && all[0].Inode == netns; found != c.found || len(all) > 1 {
			t.Errorf("below %q, of %q: %d namespaces, want the process's: %v", c.root, c.cgroup, len(all), c.found)
		}
	}
}
