// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Write writes everything once, in the text format.
func (e *Exporter) Write(w io.Writer) error {
	text, err := e.append(nil, &plainText)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// WriteFile writes what Write does into a file, whole or not at all. What is
// there and no file, such as /dev/stdout, is not replaced by one.
func (e *Exporter) WriteFile(path string) error {
	if there, err := os.Lstat(path); err == nil && !there.Mode().IsRegular() {
		return fmt.Errorf("write the metrics: %s is no file: name another, or print them with --once", path)
	}
	// No *.prom: the textfile collector reads all of those. And no name that is
	// known before: the directory may be somebody's who would have root write
	// elsewhere by it, and two may write at once.
	fresh, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new")
	if err != nil {
		return fmt.Errorf("write the metrics: %w", err)
	}
	if err = errors.Join(e.Write(fresh), fresh.Chmod(0o644), fresh.Close()); err == nil {
		err = os.Rename(fresh.Name(), path)
	}
	if err != nil {
		_ = os.Remove(fresh.Name())
		return fmt.Errorf("write the metrics: %w", err)
	}
	return nil
}
