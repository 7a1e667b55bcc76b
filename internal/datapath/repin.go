// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// nameLength is how much of a map's name the kernel keeps (BPF_OBJ_NAME_LEN
// without its end).
const nameLength = 15

// Repin pins the maps of an instance again whose pins are gone: the attached
// programs still have them. Those that none of these uses are made anew. It
// returns the names of what it pinned. An error says that too little is left.
func Repin(dir string, s Settings) (names []string, err error) {
	i := &Instance{dir: dir, settings: s}
	for name := range i.fields() {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			names = append(names, name)
		}
	}
	if names == nil {
		return nil, nil
	}
	found, err := i.attachedMaps()
	defer closeMaps(found)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := i.pinAgain(name, found); err != nil {
			return nil, fmt.Errorf("pin map %s in %s again: %w", name, dir, err)
		}
	}
	return names, nil
}

func closeMaps(all map[string]*ebpf.Map) {
	for _, m := range all {
		m.Close()
	}
}

// attachedMaps are the maps of the pinned hooks' programs, by the kernel's name.
func (i *Instance) attachedMaps() (map[string]*ebpf.Map, error) {
	found := map[string]*ebpf.Map{}
	entries, err := os.ReadDir(i.dir)
	if err != nil {
		return found, err
	}
	for _, e := range entries {
		if _, ok := pinned(e.Name()); !ok {
			continue
		}
		if err := i.addMapsOf(e.Name(), found); err != nil {
			return found, fmt.Errorf("read the maps of %s: %w", e.Name(), err)
		}
	}
	if len(found) == 0 {
		return found, fmt.Errorf("no hook is pinned in %s that would have the maps", i.dir)
	}
	return found, nil
}

func (i *Instance) addMapsOf(pin string, found map[string]*ebpf.Map) error {
	p, err := i.pinnedProgram(pin)
	if err != nil {
		return err
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return err
	}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return err
		}
		about, err := m.Info()
		if err != nil || found[about.Name] != nil {
			m.Close()
			continue
		}
		found[about.Name] = m
	}
	return nil
}

// pinnedProgram is the program of a pinned link, or a pinned program.
func (i *Instance) pinnedProgram(pin string) (*ebpf.Program, error) {
	l, err := link.LoadPinnedLink(filepath.Join(i.dir, pin), nil)
	if err != nil {
		return ebpf.LoadPinnedProgram(filepath.Join(i.dir, pin), nil)
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return nil, err
	}
	return ebpf.NewProgramFromID(info.Program)
}

func (i *Instance) pinAgain(name string, found map[string]*ebpf.Map) error {
	m := found[name[:min(len(name), nameLength)]]
	if m == nil {
		specs, err := i.mapSpecs()
		if err != nil {
			return err
		}
		if m, err = ebpf.NewMap(specs[name]); err != nil {
			return err
		}
		defer m.Close()
	}
	return m.Pin(filepath.Join(i.dir, name))
}
