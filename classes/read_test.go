// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestReadWhole reads a file that is being written.
func TestReadWhole(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.yaml")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stop := make(chan bool)
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := f.WriteString(strings.Repeat("# more\n", 1000)); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	_, err = readWhole(file)
	close(stop)
	writer.Wait()
	var path *fs.PathError
	if !errors.As(err, &path) || !strings.Contains(err.Error(), "somebody keeps writing to it") {
		t.Errorf("while it is written: %v", err)
	}
	text, err := readWhole(file)
	if info, _ := f.Stat(); err != nil || int64(len(text)) != info.Size() {
		t.Errorf("afterwards: %v, %d bytes", err, len(text))
	}
}
