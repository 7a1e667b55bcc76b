// SPDX-License-Identifier: Apache-2.0

package classes

import (
	"fmt"
	"os"
	"time"
)

// How often, and how far apart, a file is read again that somebody writes to.
const (
	readAgain = 20
	readPause = 10 * time.Millisecond
)

// readFile is a variable for the test of a file that changes meanwhile.
var readFile = os.ReadFile

// readWhole reads a policy file that nobody writes to meanwhile: half of a
// policy may be a valid one, without the classes of the other half.
func readWhole(file string) ([]byte, error) {
	for range readAgain {
		before, err := os.Stat(file)
		if err != nil {
			return nil, err
		}
		text, err := readFile(file)
		if err != nil {
			return nil, err
		}
		after, err := os.Stat(file)
		if err != nil {
			return nil, err
		}
		if os.SameFile(before, after) && before.ModTime().Equal(after.ModTime()) && (!after.Mode().IsRegular() || after.Size() == int64(len(text))) {
			return text, nil
		}
		time.Sleep(readPause)
	}
	return nil, &os.PathError{Op: "read", Path: file, Err: fmt.Errorf("somebody keeps writing to it: try again when it is finished")}
}
