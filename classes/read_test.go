// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadWhole reads a file that somebody writes to at every attempt, and
// then one that is left alone.
func TestReadWhole(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.yaml")
	writes := 0
	readFile = func(name string) ([]byte, error) {
		writes++
		text, err := os.ReadFile(name)
		return text, errors.Join(err, os.WriteFile(name, make([]byte, writes), 0o600))
	}
	defer func() { readFile = readBounded }()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var path *fs.PathError
	if _, err := readWhole(file); !errors.As(err, &path) || !strings.Contains(err.Error(), "somebody keeps writing to it") {
		t.Errorf("while it is written: %v", err)
	}
	readFile = readBounded
	if text, err := readWhole(file); err != nil || len(text) != writes || writes != readAgain {
		t.Errorf("after %d writes: %v, %d bytes", writes, err, len(text))
	}
}
