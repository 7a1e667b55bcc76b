// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"

	"github.com/cilium/ebpf"
)

// Discard frees the version that is not in force.
func (i *Instance) Discard() error {
	version, err := i.unread()
	if err != nil {
		return err
	}
	return i.free(version)
}

// unread waits until no program reads the version that is not in force, and
// tells which that is.
func (i *Instance) unread() (version uint32, err error) {
	live, err := i.live()
	if err != nil {
		return 0, err
	}
	if i.waited == nil {
		i.beginWait()
	}
	return 1 - live, i.endWait()
}

// free frees a version that no program reads.
func (i *Instance) free(version uint32) error {
	forget := func(outer *ebpf.Map) error {
		if err := outer.Delete(version); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		return nil
	}
	return both(func() error { return forget(i.maps.Tables) }, func() error { return forget(i.maps.Cgroups) })
}

// beginWait begins to wait until no program is running that is running now.
func (i *Instance) beginWait() {
	waited := make(chan error, 1)
	i.waited = waited
	go func() { waited <- i.wait() }()
}

// endWait ends the wait that was begun, if one was.
func (i *Instance) endWait() error {
	if i.waited == nil {
		return nil
	}
	err := <-i.waited
	i.waited = nil
	return err
}

// wait waits until no program is running that was when it was called. The
// kernel does so after an update of a map of maps: the one here changes
// nothing.
func (i *Instance) wait() error {
	live, err := i.live()
	if err != nil {
		return err
	}
	var id ebpf.MapID
	if err := i.maps.Tables.Lookup(live, &id); errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	inner, err := ebpf.NewMapFromID(id)
	if err != nil {
		return err
	}
	defer inner.Close()
	return i.maps.Tables.Put(live, inner)
}

// both does two things at once that each wait for the kernel: it waits after
// every change of a map of maps, some ten milliseconds.
func both(one, other func() error) error {
	done := make(chan error, 1)
	go func() { done <- other() }()
	return errors.Join(one(), <-done)
}
