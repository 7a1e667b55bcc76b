// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// The state is a few bytes that user space keeps with the objects: it is
// pinned beside them, so the two can never be of different applies.
const (
	statePin   = "state"
	stateFresh = statePin + "-new"
)

// WriteState replaces the state of the instance in dir, by one rename.
func WriteState(dir string, state []byte) error {
	value := binary.NativeEndian.AppendUint32(nil, uint32(len(state)))
	value = append(value, state...)
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: statePin, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(value)), MaxEntries: 1})
	if err != nil {
		return fmt.Errorf("keep the state: %w", err)
	}
	defer m.Close()
	if err := errors.Join(m.Put(uint32(0), value), m.Freeze()); err != nil {
		return fmt.Errorf("keep the state: %w", err)
	}
	fresh := filepath.Join(dir, stateFresh)
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := m.Pin(fresh); err != nil {
		return fmt.Errorf("pin the state: %w", err)
	}
	return os.Rename(fresh, filepath.Join(dir, statePin))
}

// ReadState is the state kept in an instance's directory. An error that is
// fs.ErrNotExist says that there is no instance, or none that was finished.
func ReadState(dir string) ([]byte, error) { return readState(dir, statePin) }

func readState(dir, pin string) ([]byte, error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, pin), &ebpf.LoadPinOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("open the state in %s: %w", dir, err)
	}
	defer m.Close()
	var value []byte
	if err := m.Lookup(uint32(0), &value); err != nil {
		return nil, fmt.Errorf("read the state of %s: %w", dir, err)
	}
	if len(value) < 4 || int(binary.NativeEndian.Uint32(value)) > len(value)-4 {
		return nil, fmt.Errorf("read the state of %s: it is cut short", dir)
	}
	return value[4:][:binary.NativeEndian.Uint32(value)], nil
}

// StateVersion is another number whenever the state was written; 0 is for no
// state.
func StateVersion(dir string) uint64 {
	var s unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, statePin), &s); err != nil {
		return 0
	}
	return s.Ino
}
