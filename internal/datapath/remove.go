// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DetachAll takes away the hooks that are pinned in dir, and leaves its maps
// and states. No directory is no error.
func DetachAll(dir string) error {
	i := &Instance{dir: dir}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for n := len(entries) - 1; n >= 0; n-- {
		if h, ok := pinned(entries[n].Name()); ok {
			if err := i.Detach(h); err != nil {
				return err
			}
		}
	}
	return nil
}

// Remove takes away what is pinned in dir, finished or not: first the hooks,
// then the maps, at last the directory. What is no pin, a directory or a
// symbolic link, is not ours: it stays, and the directory with it. No
// directory is no error.
func Remove(dir string) error { return remove(dir, func(string) bool { return true }) }

// RemoveNamed is Remove of the pins that have a name of this binary's: it is
// for an instance that this binary made, in which all others are not ours.
func RemoveNamed(dir string) error { return remove(dir, ours) }

func remove(dir string, wanted func(name string) bool) error {
	if err := DetachAll(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !wanted(e.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	// That it is not empty is no failure: it holds what is others'.
	_ = os.Remove(dir)
	return nil
}

// Left is what is still in a directory; none if it is not there.
func Left(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// HasOurs tells whether anything in a directory has a name of ours.
func HasOurs(dir string) bool {
	names, _ := Left(dir)
	return slices.ContainsFunc(names, ours)
}

// ours tells whether a pin has a name that this binary gives.
func ours(name string) bool {
	if _, kept := keptNumber(name); kept || name == statePin || name == stateFresh || walks(name) {
		return true
	}
	if _, hook := pinned(strings.TrimSuffix(name, nextSuffix)); hook {
		return true
	}
	_, ok := (&Instance{}).fields()[name]
	return ok
}
