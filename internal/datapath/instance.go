// SPDX-License-Identifier: Apache-2.0

// Package datapath owns the BPF objects: create, open, upgrade, attach,
// fill, read, remove.
package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"waymark/bpf"
	"waymark/internal/plan"
)

// Instance is the BPF objects of one network namespace. Its directory is
// where its maps and links are pinned; they live as long as the pins do.
type Instance struct {
	dir      string
	settings Settings
	told     []byte    // the memory of maps.IncomingTold, once it was asked for
	retired  plan.Mask // of the instance that this one takes over from
	maps     bpf.WaymarkMaps
	runs     []run                    // where another build's lines of counters have our fields; nil: where ours have
	older    *Instance                // that this one takes over from; nil for none
	waited   <-chan error             // the end of a wait for running programs; nil: none was begun
	replaced map[string]*ebpf.Program // the older one's programs by the pin of the hook that was taken over
	verified map[copyOf]*verified     // programs that wait to be attached
}

// Create makes the maps of a new instance and pins them in dir, which must
// not exist. On error nothing is left.
func Create(dir string, s Settings) (*Instance, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	i := &Instance{dir: dir, settings: s}
	if err := i.create(); err != nil {
		i.Close()
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return i, nil
}

func (i *Instance) create() error {
	spec, err := i.spec()
	if err != nil {
		return err
	}
	spec.Variables = nil
	for name := range spec.Maps {
		if i.fields()[name] == nil {
			delete(spec.Maps, name) // constants, and what is a walk's own
		}
	}
	collection, err := ebpf.NewCollection(spec)
	if err != nil {
		return fmt.Errorf("create the BPF maps: %w", err)
	}
	defer collection.Close()
	for name, m := range i.fields() {
		*m = collection.DetachMap(name)
	}
	for name, m := range i.named() {
		if err := m.Pin(filepath.Join(i.dir, name)); err != nil {
			return fmt.Errorf("pin map %s in %s: %w", name, i.dir, err)
		}
	}
	return nil
}

// Open takes up the instance pinned in dir, which this build made, or some of its
// maps. An error that is fs.ErrNotExist says that there is none.
func Open(dir string, s Settings, some ...string) (*Instance, error) {
	i, err := open(dir, s, some)
	if err != nil {
		return nil, err
	}
	specs, err := i.mapSpecs()
	if err != nil {
		i.Close()
		return nil, err
	}
	for name, m := range i.these(some) {
		err := error(os.ErrNotExist)
		if *m != nil {
			err = specs[name].Compatible(*m)
		}
		if err != nil {
			i.Close()
			return nil, fmt.Errorf("open map %s of %s: %v: the pins are damaged; `waymark down` removes them", name, dir, err)
		}
	}
	return i, nil
}

// OpenOther takes up the instance pinned in dir, which any build made: its
// maps may be others, and otherwise. It can be read, and taken over from. An
// error that is fs.ErrNotExist says that there is none.
func OpenOther(dir string, s Settings) (*Instance, error) {
	i, err := open(dir, s, nil)
	if err == nil && i.maps.Counters != nil {
		if i.runs, err = runsOf(i.maps.Counters); err != nil {
			i.Close()
		}
	}
	return i, err
}

// open opens those maps that are there, of all or of some.
func open(dir string, s Settings, some []string) (*Instance, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	i := &Instance{dir: dir, settings: s}
	for name, m := range i.these(some) {
		opened, err := ebpf.LoadPinnedMap(filepath.Join(dir, name), nil)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		// Of what is wrong with all of them none is named: each is the first at times, and
		// an agent would say it anew each time.
		if errors.Is(err, unix.EROFS) {
			i.Close()
			return nil, fmt.Errorf("open the maps of %s: %w: traffic goes on as it is; `mount -o remount,rw %s`, or for a unit name it in ReadWritePaths=", dir, err, filepath.Dir(filepath.Dir(dir)))
		}
		if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM) {
			i.Close()
			return nil, fmt.Errorf("open the maps of %s: %w: traffic goes on as it is; raise the limit that is in the way (`ulimit -n`, LimitNOFILE=, memory) and try again", dir, err)
		}
		if err != nil {
			i.Close()
			return nil, fmt.Errorf("open map %s of %s: %v: the pins are damaged; `waymark down` removes them", name, dir, err)
		}
		*m = opened
	}
	return i, nil
}

// Dir is the directory the instance is pinned in.
func (i *Instance) Dir() string { return i.dir }

// Rename moves the instance's directory; its objects do not notice.
func (i *Instance) Rename(dir string) error {
	if err := os.Rename(i.dir, dir); err != nil {
		return err
	}
	i.dir = dir
	return nil
}

// Close lets go of the instance without changing it.
func (i *Instance) Close() {
	_ = i.endWait() // who needed it would have asked
	i.forgetVerified()
	for _, m := range i.named() {
		m.Close()
	}
	for _, p := range i.replaced {
		p.Close()
	}
	if i.told != nil {
		_ = unix.Munmap(i.told)
	}
}
