// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"waymark/classes"
	"waymark/loader"
)

// dropIn is the policy file that a move of a subject is saved in.
func dropIn(dir string, o loader.Override) string {
	name := strings.Map(func(r rune) rune {
		if r == '/' || r == ':' || r <= ' ' {
			return '-'
		}
		return r
	}, o.Subject)
	return filepath.Join(dir, "move-"+name+".yaml")
}

// saveMove writes a move into a policy file of its own, whole or not at all.
func saveMove(dir string, o loader.Override) (string, error) {
	m := classes.Move{Match: o.Match, From: o.From, To: o.To, Existing: o.Existing}
	file := dropIn(dir, o)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("save the move: %w", err)
	}
	fresh := filepath.Join(dir, ".waymark-move")
	err := os.WriteFile(fresh, []byte(m.DropIn("`waymark move "+o.Subject+" "+o.To+"`, by "+o.Author)), 0o644)
	if err == nil {
		err = os.Rename(fresh, file)
	}
	if err != nil {
		return "", fmt.Errorf("save the move: %w", err)
	}
	return file, nil
}

// forgetMove removes the file that a move was saved in, and returns its name;
// "" if it was not saved.
func forgetMove(dir string, o loader.Override) (string, error) {
	file := dropIn(dir, o)
	err := os.Remove(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("the move is taken back, and comes again with the next apply: %w", err)
	}
	return file, nil
}
