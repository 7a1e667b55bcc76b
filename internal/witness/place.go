// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// places are cgroups of clients, below the classes' own.
type places struct {
	root string   // the cgroup root
	made []string // directories, in the order in which they were made
}

const leafPrefix = "waymark-verify-"

// leaf is the name of the cgroup of a client.
func leaf() string { return leafPrefix + strconv.Itoa(os.Getpid()) }

// sweep removes, from below one cgroup, those of processes that were killed.
func sweep(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, leafPrefix+"*"))
	for _, path := range left {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(path), leafPrefix))
		if err == nil && unix.Kill(pid, 0) == unix.ESRCH {
			_ = unix.Rmdir(path)
		}
	}
}

// below makes a cgroup below one of the host's, which is made if it does not
// exist, and returns its path from the cgroup root.
func (p *places) below(cgroup string) (string, error) {
	full := path.Join(cgroup, leaf())
	sweep(filepath.Join(p.root, cgroup))
	dir := p.root
	for name := range strings.SplitSeq(full, "/") {
		dir = filepath.Join(dir, name)
		err := os.Mkdir(dir, 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("make a cgroup: %w", err)
		}
		p.made = append(p.made, dir)
	}
	return full, nil
}

// dir is the directory of a path from the cgroup root.
func (p *places) dir(cgroup string) string { return filepath.Join(p.root, cgroup) }

// remove takes away what was made, unless others have moved in. A process that
// ended a moment ago may still be there.
func (p *places) remove() error {
	var errs []error
	for n := len(p.made) - 1; n >= 0; n-- {
		err := unix.Rmdir(p.made[n])
		for tries := 0; errors.Is(err, unix.EBUSY) && tries < 200; tries++ {
			time.Sleep(5 * time.Millisecond)
			err = unix.Rmdir(p.made[n])
		}
		if err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("remove cgroup %s: %w", p.made[n], err))
		}
	}
	return errors.Join(errs...)
}
