// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"
)

// How often, and how far apart, a file is read again that somebody writes to.
const (
	readAgain = 20
	readPause = 10 * time.Millisecond
)

// mostText bounds the policy files together, in bytes: the largest policy that
// anybody has use for is a few MiB, and one that is not meant to be one is not to
// keep an agent busy.
const mostText = 64 << 20

// Stdin is the path of what is read from standard input; stdinName stands for it
// in positions.
const Stdin, stdinName = "-", "<stdin>"

// readFile is a variable for the test of a file that changes meanwhile.
var readFile = readBounded

// readBounded reads a file, or of a longer one a byte more than there may be.
func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var text bytes.Buffer
	if info, err := f.Stat(); err == nil {
		text.Grow(int(min(info.Size(), mostText)) + bytes.MinRead)
	}
	_, err = text.ReadFrom(io.LimitReader(f, mostText+1))
	return text.Bytes(), err
}

// tooLong is what is wrong with a policy whose files are too long, with the first
// that has no room.
func tooLong(file string) Problems {
	return Problems{{Pos: Position{File: file}, Text: fmt.Sprintf("a policy of more than %d MiB", mostText>>20),
		Hint: "name what is meant by prefixes, ranges and patterns; or is this the file that was meant?"}}
}

// readStream reads what can be read once, and has an end when it is whole.
func readStream(name string, from io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(from, mostText+1))
	if err == nil && len(text) > mostText {
		err = tooLong(name)
	}
	return text, err
}

// readWhole reads a policy file that nobody writes to meanwhile: half of a
// policy may be a valid one, without the classes of the other half.
func readWhole(file string) ([]byte, error) {
	if file == Stdin {
		return readStream(stdinName, os.Stdin)
	}
	if isEndless(file) {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readStream(file, f)
	}
	for range readAgain {
		before, err := os.Stat(file)
		if err != nil {
			return nil, err
		}
		if before.Size() > mostText {
			return nil, tooLong(file)
		}
		text, err := readFile(file)
		if err != nil {
			return nil, err
		}
		after, err := os.Stat(file)
		if err != nil {
			return nil, err
		}
		if os.SameFile(before, after) && before.ModTime().Equal(after.ModTime()) && after.Size() == int64(len(text)) {
			return text, nil
		}
		time.Sleep(readPause)
	}
	return nil, &os.PathError{Op: "read", Path: file, Err: fmt.Errorf("somebody keeps writing to it: try again when it is finished")}
}
