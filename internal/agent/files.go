// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// files are the policy files as they were last found. They are asked for at
// every beat: notices come of directories, not of what is behind a symbolic
// link, a bind mount or a server; and without end of one that others write to.
type files struct {
	paths []string
	found string
}

// differ tells whether they are others than when it was last asked.
func (f *files) differ() bool {
	var now strings.Builder
	for _, path := range f.paths {
		entries, _ := os.ReadDir(path)
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") {
				now.WriteString(stamp(filepath.Join(path, e.Name())))
			}
		}
		if entries == nil {
			now.WriteString(stamp(path))
		}
	}
	before := f.found
	f.found = now.String()
	return f.found != before
}

// settling has an element when they may be read, if they differ.
func (f *files) settling() <-chan time.Time {
	if !f.differ() {
		return nil
	}
	return time.After(quietFiles)
}

// stamp is another one after every change of what a path leads to.
func stamp(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return err.Error() + "\n"
	}
	s := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintln(path, s.Dev, s.Ino, s.Size, s.Ctim)
}
