// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace puts a file in the place of another, or of none: whoever reads it, or a
// machine that loses its power, has the one or the other. What is there and no file,
// such as /dev/null, is refused.
func Replace(path string, text []byte, mode fs.FileMode) error {
	if there, err := os.Lstat(path); err == nil && !there.Mode().IsRegular() {
		return fmt.Errorf("write %s: it is no regular file: name another", path)
	}
	// No name that is known before: the directory may be somebody's who would have
	// root write elsewhere by it, and two may write at once.
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir has what was renamed in a directory outlive the machine.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	return nil
}
