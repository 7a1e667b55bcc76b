// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"waymark/bpf"
)

// Walker is the programs of a walk and their maps.
type Walker struct {
	programs map[string]*ebpf.Program
	maps     map[string]*ebpf.Map // by the kernel's name
}

// walkPrograms are the programs of the walk after a change. They are pinned
// when they are first used: to verify them takes longer than all else that a
// small change does.
var walkPrograms = []string{bpf.WaymarkProgRemarkTcp, bpf.WaymarkProgNoteUdp}

// orderMap holds what a walk is asked.
const orderMap = ".data.walk"

// changeWalker is the walk after a change, ready to be asked.
func (i *Instance) changeWalker() (*Walker, error) {
	if i.older != nil {
		return i.verifyWalker(walkPrograms...) // with its mask, which no later walk looks at
	}
	if w, err := i.pinnedWalker(); err == nil {
		return w, nil
	}
	w, err := i.verifyWalker(walkPrograms...)
	if err != nil {
		return nil, err
	}
	if err := w.pin(i.dir); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// pinnedWalker is the one that an earlier change pinned.
func (i *Instance) pinnedWalker() (*Walker, error) {
	w := &Walker{programs: map[string]*ebpf.Program{}, maps: map[string]*ebpf.Map{}}
	for _, name := range walkPrograms {
		p, err := ebpf.LoadPinnedProgram(filepath.Join(i.dir, name), nil)
		if err == nil {
			w.programs[name] = p
			err = i.addMapsOf(name, w.maps)
		}
		if err != nil {
			w.Close()
			return nil, err
		}
	}
	for _, name := range []string{orderMap, bpf.WaymarkMapCarried, bpf.WaymarkMapHeirs, bpf.WaymarkMapListened, bpf.WaymarkMapWalked} {
		if w.maps[name] == nil {
			w.Close()
			return nil, fmt.Errorf("the programs pinned in %s have no map %s", i.dir, name)
		}
	}
	return w, nil
}

// verifyWalker loads programs with maps of their own beside the instance's.
func (i *Instance) verifyWalker(programs ...string) (*Walker, error) {
	spec, err := i.spec(programs...)
	if err != nil {
		return nil, err
	}
	if err := spec.Variables[bpf.WaymarkVarCanDestroy].Set(truth(canDestroy())); err != nil {
		return nil, fmt.Errorf("set %s in the BPF object: %w", bpf.WaymarkVarCanDestroy, err)
	}
	for _, name := range []string{bpf.WaymarkMapCarried, bpf.WaymarkMapHeirs} {
		spec.Maps[name].MaxEntries = i.settings.Mask.Highest() + 1
	}
	spec.Maps[bpf.WaymarkMapFlows].MaxEntries = i.settings.Slots
	collection, err := i.collect(spec)
	if err != nil {
		return nil, err
	}
	return &Walker{collection.Programs, collection.Maps}, nil
}

// canDestroy tells whether programs can destroy a socket (6.5).
func canDestroy() bool {
	kernel, err := kernelTypes.Kernel()
	if err != nil {
		return false
	}
	var f *btf.Func
	return kernel.TypeByName("bpf_sock_destroy", &f) == nil
}

// pin keeps the programs. They have their maps in common: where one of the
// pins is of another walk, none may be found.
func (w *Walker) pin(dir string) error {
	for _, name := range walkPrograms {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("pin program %s in %s: %w", name, dir, err)
		}
	}
	for _, name := range walkPrograms {
		if err := w.programs[name].Pin(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("pin program %s in %s: %w", name, dir, err)
		}
	}
	return nil
}

func (w *Walker) ask(order bpf.WaymarkWalkOrder) error { return w.maps[orderMap].Put(uint32(0), order) }

// elsewhere makes the next walks those of other network namespaces.
func (w *Walker) elsewhere() error {
	var order bpf.WaymarkWalkOrder
	if err := w.maps[orderMap].Lookup(uint32(0), &order); err != nil {
		return fmt.Errorf("read what a walk is asked: %w", err)
	}
	order.Elsewhere = 1
	return w.ask(order)
}

// Close lets the programs go.
func (w *Walker) Close() {
	for _, p := range w.programs {
		p.Close()
	}
	closeMaps(w.maps)
}

// walks tells whether a pin is a program of the walk.
func walks(pin string) bool { return slices.Contains(walkPrograms, pin) }
