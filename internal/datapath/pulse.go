// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"waymark/bpf"
	"waymark/internal/plan"
)

// Pins is a digest of what is pinned in an instance's directory, but for its
// states (StateVersion), and of where its hooks are. While it stays, nobody has
// touched them. It costs a few system calls a pin, and is "" for no directory.
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
		if strings.HasPrefix(e.Name(), statePin) {
			continue
		}
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

// Published are the maps that Version and Holds look into, for Open: all there are would be
// thrice as many, and to open them takes a third of what a pulse does.
var Published = []string{
	bpf.WaymarkMapLive, bpf.WaymarkMapTables, bpf.WaymarkMapCgroups, bpf.WaymarkMapClasses, bpf.WaymarkMapSwitches,
	bpf.WaymarkMapUplinks, bpf.WaymarkMapPins, bpf.WaymarkMapInside, bpf.WaymarkMapWholeMarks,
}

// Version is the kernel's numbers of what is in force: nothing else writes
// into those maps, which are frozen.
func (i *Instance) Version() (string, error) {
	live, err := i.live()
	if err != nil {
		return "", err
	}
	var ids [2]ebpf.MapID
	for k, outer := range []*ebpf.Map{i.maps.Tables, i.maps.Cgroups} {
		if err := outer.Lookup(live, &ids[k]); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return "", fmt.Errorf("read which version is in force: %w", err)
		}
	}
	return fmt.Sprint(live, ids), nil
}

// Holds tells whether the maps hold what Publish of a plan writes, the
// version of the table aside.
func (i *Instance) Holds(p *plan.Plan) (bool, error) {
	for _, holds := range []func(*plan.Plan) (bool, error){i.holdsClasses, i.holdsUplinks, i.holdsPins, i.holdsInside, i.holdsMarks} {
		if yes, err := holds(p); !yes || err != nil {
			return false, err
		}
	}
	return true, nil
}

// holdsClasses leaves numbers aside that no class has any more.
func (i *Instance) holdsClasses(p *plan.Plan) (bool, error) {
	numbers, entries := classEntries(p)
	have, err := firstEntries[bpf.WaymarkClassEntry](i.maps.Classes, min(i.maps.Classes.MaxEntries(), slices.Max(numbers)+1))
	if err != nil {
		return false, err
	}
	for k, n := range numbers {
		if int(n) >= len(have) || have[n] != entries[k] {
			return false, nil
		}
	}
	off, err := entriesOf[uint32](i.maps.Switches)
	return err == nil && slices.Equal(off, []uint32{switchedOff(p.Off)}), err
}

func (i *Instance) holdsUplinks(p *plan.Plan) (bool, error) {
	have, err := entriesOf[bpf.WaymarkUplinkEntry](i.maps.Uplinks)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(p.Uplinks, func(u plan.Uplink) bool {
		if u.Number >= len(have) {
			return true
		}
		want := uplinkEntry(p, u)
		want.LinkHeader = have[u.Number].LinkHeader // stays while the interface does, and to ask is to list them all
		return have[u.Number] != want
	}), nil
}

func (i *Instance) holdsPins(p *plan.Plan) (bool, error) {
	have, err := entriesOf[bpf.WaymarkPin](i.maps.Pins)
	return slices.Equal(have, pinEntries(p)), err
}

func (i *Instance) holdsInside(p *plan.Plan) (bool, error) {
	have, err := entriesOf[bpf.WaymarkInsidePrefix](i.maps.Inside)
	return slices.Equal(have, insideEntries(p)), err
}

func (i *Instance) holdsMarks(p *plan.Plan) (bool, error) {
	have, err := i.wholeMarks()
	want := slices.Sorted(slices.Values(p.WholeMarks))
	return slices.Equal(have, slices.Compact(want)), err
}

// entriesOf are the values of an array.
func entriesOf[T any](m *ebpf.Map) ([]T, error) { return firstEntries[T](m, m.MaxEntries()) }

// firstEntries are the first n of them.
func firstEntries[T any](m *ebpf.Map, n uint32) ([]T, error) {
	var cursor ebpf.MapBatchCursor
	keys, values := make([]uint32, n), make([]T, n)
	found, err := m.BatchLookup(&cursor, keys, values, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil, fmt.Errorf("read the maps: %w", err)
	}
	return values[:found], nil
}

// putEntries writes the values of an array, from the first on.
func putEntries[T any](m *ebpf.Map, values []T) error {
	keys := make([]uint32, len(values))
	for k := range keys {
		keys[k] = uint32(k)
	}
	_, err := m.BatchUpdate(keys, values, nil)
	return err
}
