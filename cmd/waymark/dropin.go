// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"waymark/classes"
	"waymark/internal/host"
	"waymark/loader"
)

// longestName is room enough for a subject in the name of a file.
const longestName = 200

// dropIns are the policy files that a move of a subject may be saved in. The
// second is for when another subject has the first: two may read the same in the
// name of a file.
func dropIns(dir, subject string) [2]string {
	name := strings.Map(func(r rune) rune {
		if r == '/' || r == ':' || r <= ' ' {
			return '-'
		}
		return r
	}, subject)
	name = strings.ToValidUTF8(name[:min(len(name), longestName)], "")
	first := filepath.Join(dir, "move-"+name)
	return [2]string{first + ".yaml", fmt.Sprintf("%s-%08x.yaml", first, crc32.ChecksumIEEE([]byte(subject)))}
}

// savedIn is the file that a move of a subject is saved in, or "", and one that
// it may be saved in.
func savedIn(dir, subject string) (saved, free string, err error) {
	for _, file := range dropIns(dir, subject) {
		text, err := host.ReadOwn(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if free == "" {
				free = file
			}
		case err != nil:
			return "", "", err
		case strings.HasPrefix(string(text), "# "+moveOf(subject)):
			return file, file, nil
		}
	}
	if free == "" {
		err = fmt.Errorf("%s holds something else: rename it", dropIns(dir, subject)[1])
	}
	return "", free, err
}

// moveOf is how the comment above a saved move begins.
func moveOf(subject string) string { return "`waymark move " + oneLine(subject) + " " }

// oneLine is a text that a comment may hold.
func oneLine(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

// saveMove writes a move into a policy file of its own, whole or not at all.
func saveMove(dir string, o loader.Override) (string, error) {
	file, err := writeMove(dir, o)
	if err != nil {
		return "", fmt.Errorf("save the move: %w", err)
	}
	return file, nil
}

func writeMove(dir string, o loader.Override) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	_, file, err := savedIn(dir, o.Subject)
	if err != nil {
		return "", err
	}
	for _, path := range o.Match.Cgroup {
		if strings.ContainsFunc(path, func(r rune) bool { return !strconv.IsGraphic(r) }) {
			return "", fmt.Errorf("the cgroup path %q has a control character, which no policy may hold", path)
		}
	}
	m := classes.Move{Match: o.Match, From: o.From, To: o.To, Existing: o.Existing}
	return file, host.Replace(file, []byte(m.DropIn(moveOf(o.Subject)+o.To+"`, by "+oneLine(o.Author))), 0o644)
}

// forgetMove removes the file that a move was saved in, and returns its name;
// "" if it was not saved.
func forgetMove(dir string, o loader.Override) (string, error) {
	file, _, err := savedIn(dir, o.Subject)
	if file == "" {
		return "", nil // whatever is there in its place, it is no such move
	}
	if err == nil {
		err = os.Remove(file)
	}
	if err != nil {
		return "", fmt.Errorf("the move is taken back, and comes again with the next apply: %w", err)
	}
	return file, nil
}
