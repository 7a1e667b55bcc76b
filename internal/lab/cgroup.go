// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const cgroupPrefix = "waymark-lab-"

// A cgroupTree is the lab's own subtree of cgroup2.
type cgroupTree struct {
	mount string // where cgroup2 is mounted
	root  string // the lab's directory, "" before it is made
}

// newCgroupTree also removes the trees of labs that were killed.
func newCgroupTree() (t cgroupTree, err error) {
	if t.mount, err = cgroup2Mount(); err != nil {
		return t, err
	}
	t.sweep()
	root := filepath.Join(t.mount, fmt.Sprintf("%s%d-%08x", cgroupPrefix, os.Getpid(), rand.Uint32()))
	if err := os.Mkdir(root, 0o755); err != nil {
		return t, fmt.Errorf("make cgroup: %w", err)
	}
	t.root = root
	return t, nil
}

// cgroup2Mount finds cgroup2, which is not at /sys/fs/cgroup on a hybrid host.
func cgroup2Mount() (string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("find cgroup2: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		mount, source, _ := strings.Cut(line, " - ")
		fields := strings.Fields(mount)
		if strings.HasPrefix(source, "cgroup2 ") && len(fields) > 4 {
			return unescapeMount(fields[4]), nil
		}
	}
	return "", errors.New("find cgroup2: not mounted: mount -t cgroup2 none DIRECTORY")
}

// unescapeMount undoes the octal escapes of mountinfo.
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// sweep removes what labs left whose process is gone. A directory that is still
// in use refuses, and stays.
func (t cgroupTree) sweep() {
	roots, _ := filepath.Glob(filepath.Join(t.mount, cgroupPrefix+"*"))
	for _, root := range roots {
		text, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(root), cgroupPrefix), "-")
		pid, err := strconv.Atoi(text)
		if err == nil && unix.Kill(pid, 0) == unix.ESRCH {
			_ = removeTree(root)
		}
	}
}

// CgroupRoot is the absolute directory of the lab's cgroups. Commands that ask
// for no cgroup run in it.
func (l *Lab) CgroupRoot() string { return l.cgroups.root }

// CgroupPath is the path of a cgroup of the lab from the root of cgroup2, as
// /proc/PID/cgroup shows it: "waymark-lab-7-0f00/app.slice/x.service".
func (l *Lab) CgroupPath(name string) string {
	return filepath.Join(filepath.Base(l.cgroups.root), name)
}

// Cgroup makes a cgroup below CgroupRoot if it is missing, "app.slice/x.service"
// say, and returns its absolute directory.
func (l *Lab) Cgroup(name string) (string, error) {
	if name != "" && !filepath.IsLocal(name) {
		return "", fmt.Errorf("make cgroup %q: not a path below the lab's root", name)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return "", fmt.Errorf("make cgroup %q: lab is closed", name)
	}
	dir := filepath.Join(l.cgroups.root, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make cgroup: %w", err)
	}
	return dir, nil
}

// kill ends every process of the subtree, and waits until none is left.
func (t cgroupTree) kill() error {
	if t.root == "" {
		return nil
	}
	if err := t.leave(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(t.root, "cgroup.kill"), []byte("1"), 0); err != nil {
		return fmt.Errorf("kill cgroup: %w", err)
	}
	return nil
}

// leave takes this very process out of the subtree, should a caller have put it
// there: kill would end it.
func (t cgroupTree) leave() error {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return fmt.Errorf("leave cgroup: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		path, unified := strings.CutPrefix(line, "0::")
		if unified && strings.Contains(path+"/", "/"+filepath.Base(t.root)+"/") {
			return os.WriteFile(filepath.Join(t.mount, "cgroup.procs"), []byte("0"), 0)
		}
	}
	return nil
}

// remove waits for killed processes to be gone, then removes the directories.
func (t cgroupTree) remove() error {
	if t.root == "" {
		return nil
	}
	deadline := time.Now().Add(settleTime)
	for {
		err := removeTree(t.root)
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// removeTree removes cgroup directories from the leaves up. Their files are not
// for removal, which rules os.RemoveAll out.
func removeTree(root string) error {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	for _, dir := range slices.Backward(dirs) {
		err = errors.Join(err, unix.Rmdir(dir))
	}
	if err != nil {
		return fmt.Errorf("remove cgroup %s: %w", root, err)
	}
	return nil
}
