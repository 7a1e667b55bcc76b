// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"waymark/bpf"
)

// Pins is a digest of what is pinned in an instance's directory and of where
// its hooks are. While it stays, nobody has touched them. It costs a few
// system calls a pin, and is "" for no directory.
func Pins(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	i := &Instance{dir: dir}
	digest := fnv.New64a()
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // it has gone since; what reads this next sees that
		}
		fmt.Fprintln(digest, e.Name(), info.Sys().(*syscall.Stat_t).Ino)
		if h, ok := pinned(e.Name()); ok {
			fmt.Fprintln(digest, i.target(h.Pin))
		}
	}
	return fmt.Sprintf("%x", digest.Sum64()), nil
}

// target is the numbers of a pinned link and of where it is.
func (i *Instance) target(pin string) string {
	l, err := link.LoadPinnedLink(filepath.Join(i.dir, pin), nil)
	if err != nil {
		if h, ok := pinned(pin); ok {
			f, _, err := i.clsactFilter(h)
			return fmt.Sprint(f != nil, err)
		}
		return err.Error()
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return err.Error()
	}
	if c := info.Cgroup(); c != nil {
		return fmt.Sprint(info.ID, info.Program, c.CgroupId)
	}
	if t := info.TCX(); t != nil {
		return fmt.Sprint(info.ID, info.Program, t.Ifindex)
	}
	return fmt.Sprint(info.ID, info.Program)
}

// Contents is a digest of what user space keeps in the maps, but for the two
// versions of the table, of which it has the kernel's numbers.
func (i *Instance) Contents() (string, error) {
	digest := fnv.New64a()
	var id ebpf.MapID
	live, err := i.live()
	if err != nil {
		return "", err
	}
	fmt.Fprintln(digest, live)
	for _, outer := range []*ebpf.Map{i.maps.Tables, i.maps.Cgroups} {
		if err := outer.Lookup(live, &id); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return "", fmt.Errorf("read the maps: %w", err)
		}
		fmt.Fprintln(digest, id)
		id = 0
	}
	if err := addEntries[bpf.WaymarkClassEntry](digest, i.maps.Classes); err != nil {
		return "", err
	}
	if err := addEntries[bpf.WaymarkUplinkEntry](digest, i.maps.Uplinks); err != nil {
		return "", err
	}
	marks, err := i.wholeMarks()
	if err != nil {
		return "", err
	}
	fmt.Fprintln(digest, marks)
	err = addEntries[bpf.WaymarkInsidePrefix](digest, i.maps.Inside)
	return fmt.Sprintf("%x", digest.Sum64()), err
}

// addEntries adds the values of an array that are not zero.
func addEntries[T comparable](digest hash.Hash, m *ebpf.Map) error {
	var cursor ebpf.MapBatchCursor
	keys, values := make([]uint32, m.MaxEntries()), make([]T, m.MaxEntries())
	n, err := m.BatchLookup(&cursor, keys, values, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("read the maps: %w", err)
	}
	var zero T
	for k, v := range values[:n] {
		if v != zero {
			fmt.Fprintln(digest, k, v)
		}
	}
	return nil
}
