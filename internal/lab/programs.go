// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	tcxIngress     = 46 // BPF_TCX_INGRESS
	tcxEgress      = 47 // BPF_TCX_EGRESS
	lastAttachType = 63 // beyond the last that any kernel knows
)

// programQuery is the kernel's union bpf_attr for BPF_PROG_QUERY.
type programQuery struct {
	target      uint32 // descriptor of a cgroup, or index of an interface
	attachType  uint32
	queryFlags  uint32
	attachFlags uint32
	ids         uint64 // pointer to an array of program ids
	count       uint32 // its length; afterwards how many are attached
	_           uint32
	flags       uint64 // the four that follow may stay zero
	linkIDs     uint64
	linkFlags   uint64
	revision    uint64
}

// queryPrograms lists the ids of the programs attached at a hook; a hook that
// the target or the kernel does not have holds none.
func queryPrograms(target uint32, attachType uint32) []uint32 {
	ids := make([]uint32, 64)
	var pin runtime.Pinner // q holds the address as a number
	pin.Pin(&ids[0])
	defer pin.Unpin()
	q := programQuery{
		target: target, attachType: attachType,
		ids: uint64(uintptr(unsafe.Pointer(&ids[0]))), count: uint32(len(ids)),
	}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_QUERY, uintptr(unsafe.Pointer(&q)), unsafe.Sizeof(q))
	if errno != 0 {
		return nil
	}
	return ids[:q.count]
}

// tcxPrograms lists the programs on an interface of the calling thread's
// namespace; tc does not show them.
func tcxPrograms(name string, index int) string {
	var text strings.Builder
	for _, hook := range []uint32{tcxIngress, tcxEgress} {
		for _, id := range queryPrograms(uint32(index), hook) {
			fmt.Fprintf(&text, "tcx %s hook %d program %d\n", name, hook, id)
		}
	}
	return text.String()
}

// cgroupPrograms lists the programs attached to one cgroup itself.
func cgroupPrograms(mount, path string) string {
	dir, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer dir.Close()
	var text strings.Builder
	for hook := uint32(0); hook <= lastAttachType; hook++ {
		if hook == tcxIngress || hook == tcxEgress {
			continue // there a target is an interface
		}
		for _, id := range queryPrograms(uint32(dir.Fd()), hook) {
			fmt.Fprintf(&text, "cgroup %s hook %d program %d\n", strings.TrimPrefix(path, mount), hook, id)
		}
	}
	return text.String()
}
