// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"os"
)

// Remove takes away what is pinned in dir, finished or not: first the
// hooks, then the maps. No directory is no error.
func Remove(dir string) error {
	i := &Instance{dir: dir}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for n := len(entries) - 1; n >= 0; n-- {
		if h, ok := pinned(entries[n].Name()); ok {
			if err := i.Detach(h); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(dir)
}
