// SPDX-License-Identifier: Apache-2.0

package test

import (
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// objects are the ids of BPF objects.
type objects struct {
	links    map[link.ID]string
	programs map[ebpf.ProgramID]string
	maps     map[ebpf.MapID]string
}

// add notes down all that is pinned in a directory, and what hangs on it.
func (o *objects) add(t *testing.T, dir string) {
	t.Helper()
	if o.links == nil {
		*o = objects{map[link.ID]string{}, map[ebpf.ProgramID]string{}, map[ebpf.MapID]string{}}
	}
	for _, e := range must[[]os.DirEntry](t)(os.ReadDir(dir)) {
		if err := o.addPin(filepath.Join(dir, e.Name()), e.Name()); err != nil {
			t.Fatalf("%s: %v", e.Name(), err)
		}
	}
}

// objects are those that are pinned now.
func (s *site) objects(t *testing.T) (now objects) {
	t.Helper()
	now.add(t, s.pins())
	return now
}

func (o *objects) addPin(path, name string) error {
	if m, err := ebpf.LoadPinnedMap(path, nil); err == nil {
		defer m.Close()
		return o.addMap(m, name)
	}
	if p, err := ebpf.LoadPinnedProgram(path, nil); err == nil { // a kernel without tcx
		defer p.Close()
		info, err := p.Info()
		if err == nil {
			id, _ := info.ID()
			o.programs[id] = name
		}
		return err
	}
	l, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return err
	}
	defer l.Close()
	info, err := l.Info()
	if err == nil {
		o.links[info.ID], o.programs[info.Program] = name, name
	}
	return err
}

func (o *objects) addMap(m *ebpf.Map, name string) error {
	info, err := m.Info()
	if err != nil {
		return err
	}
	id, _ := info.ID()
	o.maps[id] = name
	if info.Type != ebpf.ArrayOfMaps {
		return nil
	}
	for version := range uint32(2) {
		if err := m.Lookup(version, &id); err == nil {
			o.maps[id] = fmt.Sprintf("%s[%d]", name, version)
		}
	}
	return nil
}

// names are what is pinned, without ids: a step that was undone may have
// made an object anew, and leave a version of a table that is not in force.
func (o objects) names() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for _, all := range []iter.Seq[string]{maps.Values(o.links), maps.Values(o.maps)} {
			for name := range all {
				if !strings.Contains(name, "[") && !yield(name) {
					return
				}
			}
		}
	})
}

// gone is nil when the kernel knows none of them any more.
func (o *objects) gone() error {
	for id, name := range o.links {
		if l, err := link.NewFromID(id); err == nil {
			l.Close()
			return fmt.Errorf("link %d (%s) is still there", id, name)
		}
	}
	for id, name := range o.programs {
		if p, err := ebpf.NewProgramFromID(id); err == nil {
			p.Close()
			return fmt.Errorf("program %d (%s) is still there", id, name)
		}
	}
	for id, name := range o.maps {
		if m, err := ebpf.NewMapFromID(id); err == nil {
			m.Close()
			return fmt.Errorf("map %d (%s) is still there", id, name)
		}
	}
	return nil
}
