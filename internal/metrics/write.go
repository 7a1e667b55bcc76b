// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"errors"
	"fmt"
	"io"
	"os"
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

// WriteFile writes what Write does into a file, whole or not at all.
func (e *Exporter) WriteFile(path string) error {
	// No *.prom: the textfile collector reads all of those.
	fresh, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("write the metrics: %w", err)
	}
	if err = errors.Join(e.Write(fresh), fresh.Close()); err == nil {
		err = os.Rename(fresh.Name(), path)
	}
	if err != nil {
		_ = os.Remove(fresh.Name())
		return fmt.Errorf("write the metrics: %w", err)
	}
	return nil
}
