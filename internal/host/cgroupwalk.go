// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"waymark/internal/match"
)

// NamedCgroups looks through the cgroups below root, as far as a table's
// lines can name any, and returns the ids of those that it has an entry for,
// with their sets. One that goes meanwhile is left out.
func NamedCgroups(root string, table *match.Table) (map[uint64]uint32, error) {
	named := map[uint64]uint32{}
	err := walkCgroups(root, table, func(_ string, id uint64, set uint32) { named[id] = set })
	return named, err
}

// UnitCgroups returns the paths below root of the cgroups that a pattern
// names, in no order.
func UnitCgroups(root string, c match.Cgroup) (paths []string, err error) {
	table, err := match.Compile([]match.Match{{Cgroup: []match.Cgroup{c}}}, []uint32{0}, match.Root{Level: match.AnyLevel})
	if err != nil {
		return nil, err
	}
	err = walkCgroups(root, table, func(path string, _ uint64, _ uint32) { paths = append(paths, path) })
	return paths, err
}

// walkCgroups calls found for every cgroup that a table has an entry for.
func walkCgroups(root string, table *match.Table, found func(path string, id uint64, set uint32)) error {
	if err := isCgroup2(root); err != nil {
		return fmt.Errorf("find cgroups: %w", err)
	}
	dir, err := os.Open(root)
	if err != nil {
		return fmt.Errorf("find cgroups: %w", err)
	}
	if err := walkBelow(dir, "", table.Walk(), found); err != nil {
		return fmt.Errorf("find cgroups below %s: %w", root, err)
	}
	return nil
}

// walkBelow looks through one directory, which it closes.
func walkBelow(dir *os.File, at string, walk match.Walk, found func(string, uint64, uint32)) error {
	defer dir.Close()
	if walk.Over() {
		return nil
	}
	children, err := childrenOf(dir)
	if err != nil && !isGone(err) {
		return err
	}
	for _, c := range children {
		below, set := walk.Enter(c.name)
		if set == 0 && below.Over() {
			continue
		}
		name := path.Join(at, c.name)
		if set != 0 {
			found(name, c.id, set)
		}
		if err := walkInto(dir, name, below, found); err != nil {
			return err
		}
	}
	return nil
}

// walkInto looks through a directory in another, unless nothing below it can be named.
func walkInto(in *os.File, at string, walk match.Walk, found func(string, uint64, uint32)) error {
	if walk.Over() {
		return nil
	}
	sub, err := openCgroup(in, path.Base(at))
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return walkBelow(sub, at, walk, found)
}

func openCgroup(in *os.File, name string) (*os.File, error) {
	fd, err := unix.Openat(int(in.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// isGone tells that a cgroup was removed while it was looked at.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) }
