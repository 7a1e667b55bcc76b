// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"waymark/internal/datapath"
)

// CopyAuthor is the author of what this process applies in a copy of the host,
// which ends with it.
func CopyAuthor() string { return fmt.Sprintf("%s%d", copyAuthor, os.Getpid()) }

const copyAuthor = "waymark verify --inject, process "

// RemoveCopies takes away what was applied in copies of this host whose
// processes were killed: their namespaces went with them, and their programs
// did not.
func (l *Loader) RemoveCopies() error {
	home, err := l.home()
	if err != nil {
		return err
	}
	dirs, _ := filepath.Glob(filepath.Join(home, "*"))
	for _, dir := range dirs {
		state, err := readState(dir)
		if err != nil {
			continue // others see to what is damaged
		}
		pid, of := 0, strings.TrimPrefix(state.Author, copyAuthor)
		if _, err := fmt.Sscanf(of, "%d", &pid); err != nil || of == state.Author || unix.Kill(pid, 0) != unix.ESRCH {
			continue
		}
		if err := datapath.Remove(dir); err != nil {
			return fmt.Errorf("remove what a copy of the host left in %s: %w", dir, err)
		}
	}
	return nil
}
