// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// mapped is the memory of an array that was made for it (BPF_F_MMAPABLE), which
// programs and other processes have, too: a call into the kernel for all entries
// where a batch copies each of them by itself, which takes twenty times as long.
func mapped(m *ebpf.Map) ([]byte, error) {
	size := int(m.MaxEntries()) * int((m.ValueSize()+7)&^7)
	memory, err := unix.Mmap(m.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the memory of an array: %w", err)
	}
	return memory, nil
}

// entriesIn are the values in such memory, whose type has the array's size of a value.
func entriesIn[T any](memory []byte) []T {
	var one T
	return unsafe.Slice((*T)(unsafe.Pointer(&memory[0])), len(memory)/int(unsafe.Sizeof(one)))
}

// inMemory has do at the values of an array in place.
func inMemory[T any](m *ebpf.Map, do func([]T)) error {
	memory, err := mapped(m)
	if err != nil {
		return err
	}
	do(entriesIn[T](memory))
	return unix.Munmap(memory)
}
