// SPDX-License-Identifier: Apache-2.0

package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCgroupPoints(t *testing.T) {
	for text, want := range map[string][]string{
		hybrid:    {"/sys/fs/cgroup/unified"},
		container: {"/mnt/all cgroups", "/sys/fs/cgroup"},
	} {
		all, err := parseMounts([]byte(text))
		if got := cgroupPoints(all); err != nil || !slices.Equal(got, want) {
			t.Errorf("cgroup2 at %q, want %q: %v", got, want, err)
		}
	}
}

func TestLevelOf(t *testing.T) {
	foreign := []mount{{"/../..", "/sys/fs/cgroup", "cgroup2", "cgroup2"}}
	hybrid, _ := parseMounts([]byte(hybrid))
	container, _ := parseMounts([]byte(container))
	for name, c := range map[string]struct {
		all   []mount
		dir   string
		level int
		below bool
	}{
		"the top":                 {hybrid, "/sys/fs/cgroup/unified", 0, true},
		"two below the top":       {hybrid, "/sys/fs/cgroup/unified/system.slice/x.service", 2, true},
		"another file system":     {hybrid, "/sys/fs/cgroup/unified2", 4, false},
		"a mount of a part":       {container, "/sys/fs/cgroup", 2, true},
		"below a mount of a part": {container, "/sys/fs/cgroup/a", 3, true},
		"the other mount":         {container, "/mnt/all cgroups/docker", 1, true},
		"a mount from above us":   {foreign, "/sys/fs/cgroup/a", 1, false},
	} {
		if level, below := levelOf(c.all, c.dir); level != c.level || below != c.below {
			t.Errorf("%s: level %d, %v; want %d, %v", name, level, below, c.level, c.below)
		}
	}
}

// subtree makes a cgroup of the test's own, with what is named below it,
// and takes it away afterwards.
func subtree(t *testing.T, below ...string) (root, own string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes cgroups")
	}
	root, err := CgroupRoot()
	if err != nil {
		t.Skip(err)
	}
	own = fmt.Sprintf("waymark-test-host-%d", os.Getpid())
	for _, name := range append([]string{""}, below...) {
		dir := filepath.Join(root, own, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(dir) })
	}
	return root, own
}

// handleID is the cgroup's id by another way than its inode.
func handleID(t *testing.T, dir string) uint64 {
	t.Helper()
	h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	return binary.NativeEndian.Uint64(h.Bytes())
}

func TestCgroupIDIsTheKernels(t *testing.T) {
	root, own := subtree(t, "a", "a/b c")
	for _, p := range []string{own, own + "/a", "/" + own + "/a/b c", ""} {
		got, err := CgroupID(root, p)
		if want := handleID(t, filepath.Join(root, p)); err != nil || got != want {
			t.Errorf("cgroup %q has id %d, want %d: %v", p, got, want, err)
		}
	}
	// Below another root the same cgroup has the same id.
	got, err := CgroupID(filepath.Join(root, own), "a")
	if want := handleID(t, filepath.Join(root, own, "a")); err != nil || got != want {
		t.Errorf("id %d, want %d: %v", got, want, err)
	}
}

func TestCgroupsLeavesOutWhatIsNotThere(t *testing.T) {
	root, own := subtree(t, "a")
	ids, err := Cgroups(root, []string{own, own + "/a", own + "/gone", "gone/a"})
	if err != nil || len(ids) != 2 || ids[own+"/a"] == 0 {
		t.Errorf("found %v: %v", ids, err)
	}
	if _, err := CgroupID(root, own+"/gone"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a cgroup that does not exist: %v, want fs.ErrNotExist", err)
	}
}

func TestCgroupIDRefusesWhatIsNoCgroup(t *testing.T) {
	root, own := subtree(t, "a")
	for name, c := range map[string]struct{ root, path string }{
		"outside of root":      {filepath.Join(root, own), "../" + own},
		"a file":               {root, own + "/cgroup.procs"},
		"another file system":  {t.TempDir(), ""},
		"below a file":         {root, own + "/cgroup.procs/a"},
		"far out of the mount": {root, strings.Repeat("../", 9) + "etc"},
	} {
		if id, err := CgroupID(c.root, c.path); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: id %d, %v; want a refusal", name, id, err)
		}
	}
}

func TestCgroupLevel(t *testing.T) {
	root, own := subtree(t, "a")
	top, exact, err := CgroupLevel(root)
	if err != nil {
		t.Fatal(err)
	}
	level, _, err := CgroupLevel(filepath.Join(root, own, "a"))
	if err != nil || level != top+2 {
		t.Errorf("level %d of a cgroup two below level %d: %v", level, top, err)
	}
	if _, _, err := CgroupLevel(t.TempDir()); err == nil {
		t.Error("a directory that is no cgroup has a level")
	}
	if !exact {
		t.Skip("in a cgroup namespace from the start")
	}
	namespace(t, unix.CLONE_NEWCGROUP)
	if _, exact, err := CgroupLevel(root); err != nil || exact {
		t.Errorf("exact in another cgroup namespace: %v", err)
	}
}

func TestCgroupRootSaysWhatHidesIt(t *testing.T) {
	namespace(t, unix.CLONE_NEWNS)
	all, err := mounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, point := range cgroupPoints(all) {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
	if root, err := CgroupRoot(); err == nil || !strings.Contains(err.Error(), "ip netns exec") {
		t.Errorf("cgroup2 found at %q: %v", root, err)
	}
}
