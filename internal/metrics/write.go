// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/prometheus/common/expfmt"
)

// Write writes everything once, in the text format.
func (e *Exporter) Write(w io.Writer) error {
	shown, done, err := e.Gather()
	defer done()
	if err != nil {
		return err
	}
	encoder := expfmt.NewEncoder(w, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, family := range shown {
		err = errors.Join(err, encoder.Encode(family))
	}
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
