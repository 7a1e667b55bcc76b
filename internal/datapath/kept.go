// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A kept state is one that was: the same pin under a second name, with its
// number, so that keeping costs nothing and no state is ever copied.
func keptPin(n int) string { return statePin + "-" + strconv.Itoa(n) }

func keptNumber(pin string) (int, bool) {
	number, ok := strings.CutPrefix(pin, statePin+"-")
	n, err := strconv.Atoi(number)
	return n, ok && err == nil && n > 0 && keptPin(n) == pin
}

// KeepState keeps the state that is in force in one directory, under a
// number, in another or the same.
func KeepState(from, to string, n int) error {
	return alsoAs(filepath.Join(from, statePin), filepath.Join(to, keptPin(n)))
}

// KeepKept keeps in another directory what one has kept.
func KeepKept(from, to string) error {
	numbers, err := Kept(from)
	for _, n := range numbers {
		err = errors.Join(err, alsoAs(filepath.Join(from, keptPin(n)), filepath.Join(to, keptPin(n))))
	}
	return err
}

func alsoAs(from, to string) error {
	if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("keep the state before: %w", err)
	}
	if err := os.Link(from, to); err != nil {
		return fmt.Errorf("keep the state before: %w", err)
	}
	return nil
}

// Kept are the numbers of the kept states, ascending. No directory is no
// error.
func Kept(dir string) (numbers []int, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if n, ok := keptNumber(e.Name()); ok {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, err
}

// ReadKept is a kept state. An error that is fs.ErrNotExist says that none
// of that number is kept.
func ReadKept(dir string, n int) ([]byte, error) { return readState(dir, keptPin(n)) }

// ForgetKept gives up a kept state; one that is not there is no error.
func ForgetKept(dir string, n int) error {
	if err := os.Remove(filepath.Join(dir, keptPin(n))); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget an old state: %w", err)
	}
	return nil
}
