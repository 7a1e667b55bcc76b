// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// holding is the kernel memory of an instance, as the kernel counts it.
type holding struct {
	Policy  string           `json:"policy,omitempty"`
	Rules   int              `json:"rules,omitempty"`
	Form    form             `json:"form,omitempty"`
	Cgroups int              `json:"cgroups,omitempty"`
	Bytes   int64            `json:"bytes"`
	Parts   map[string]int64 `json:"parts"` // by the name of the map or program
}

// held adds up all that is pinned, what the maps of maps hold, and the
// programs of the hooks.
func (i *instance) held() (h holding, err error) {
	h.Parts = map[string]int64{}
	dir, err := i.pins()
	if err != nil {
		return h, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return h, err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if m, err := ebpf.LoadPinnedMap(path, nil); err == nil {
			err = h.addMap(m, e.Name())
			m.Close()
			if err != nil {
				return h, err
			}
		} else if l, err := link.LoadPinnedLink(path, nil); err == nil {
			err = h.addProgram(l, e.Name())
			l.Close()
			if err != nil {
				return h, err
			}
		}
	}
	return h, nil
}

func (h *holding) add(name string, bytes uint64) {
	h.Parts[name] += int64(bytes)
	h.Bytes += int64(bytes)
}

// largest is the part that holds most.
func (h *holding) largest() (name string, bytes int64) {
	for n, b := range h.Parts {
		if b > bytes {
			name, bytes = n, b
		}
	}
	return name, bytes
}

func (h *holding) addMap(m *ebpf.Map, name string) error {
	info, err := m.Info()
	if err != nil {
		return err
	}
	bytes, _ := info.Memlock()
	h.add(name, bytes)
	if info.Type != ebpf.ArrayOfMaps {
		return nil
	}
	for key := range info.MaxEntries {
		var id ebpf.MapID
		if m.Lookup(key, &id) != nil {
			continue // no inner map
		}
		inner, err := ebpf.NewMapFromID(id)
		if err != nil {
			return err
		}
		err = h.addMap(inner, name+" inside")
		inner.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *holding) addProgram(l link.Link, name string) error {
	info, err := l.Info()
	if err != nil {
		return err
	}
	p, err := ebpf.NewProgramFromID(info.Program)
	if err != nil {
		return err
	}
	defer p.Close()
	facts, err := p.Info()
	if err != nil {
		return err
	}
	bytes, _ := facts.Memlock()
	h.add("program "+name, bytes)
	return nil
}
