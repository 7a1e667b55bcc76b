// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Holder is a process that has a socket open.
type Holder struct {
	PID     int    `json:"pid"`
	Command string `json:"command"` // the kernel's name of it, 15 bytes at most
}

// SocketHolders are the processes that have sockets open, by the socket's inode;
// of several threads and descriptors, each process once. A process that ends
// meanwhile, and one that may not be looked into, is left out.
func SocketHolders(inodes []uint64) map[uint64][]Holder {
	wanted := map[string]uint64{}
	for _, inode := range inodes {
		wanted["socket:["+strconv.FormatUint(inode, 10)+"]"] = inode
	}
	holders := map[uint64][]Holder{}
	processes, _ := filepath.Glob("/proc/[0-9]*") // whose only error is of the pattern
	for _, dir := range processes {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		for inode := range heldIn(dir, wanted) {
			comm, _ := os.ReadFile(dir + "/comm")
			holders[inode] = append(holders[inode], Holder{pid, strings.TrimSpace(string(comm))})
		}
	}
	return holders
}

// String is "COMMAND (pid N)".
func (h Holder) String() string { return h.Command + " (pid " + strconv.Itoa(h.PID) + ")" }

// ProgramHolders are the processes that have a BPF program open, or a link of
// it, by the program's id. They are left out as SocketHolders leaves them out.
func ProgramHolders() map[uint32][]Holder {
	holders := map[uint32][]Holder{}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*") // whose only error is of the pattern
	for _, file := range files {
		if target, err := os.Readlink(file); err != nil || !strings.HasPrefix(target, "anon_inode:bpf") {
			continue
		}
		dir := filepath.Dir(filepath.Dir(file))
		info, _ := os.ReadFile(filepath.Join(dir, "fdinfo", filepath.Base(file)))
		_, rest, ok := strings.Cut(string(info), "prog_id:")
		fields := strings.Fields(rest)
		if !ok || len(fields) == 0 {
			continue
		}
		id, _ := strconv.ParseUint(fields[0], 10, 32)
		pid, _ := strconv.Atoi(filepath.Base(dir))
		comm, _ := os.ReadFile(dir + "/comm")
		if h := (Holder{pid, strings.TrimSpace(string(comm))}); !slices.Contains(holders[uint32(id)], h) {
			holders[uint32(id)] = append(holders[uint32(id)], h)
		}
	}
	return holders
}

// heldIn are those of the wanted sockets that a process has.
func heldIn(dir string, wanted map[string]uint64) map[uint64]bool {
	held := map[uint64]bool{}
	entries, _ := os.ReadDir(dir + "/fd")
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, "fd", e.Name())); err == nil && wanted[target] != 0 {
			held[wanted[target]] = true
		}
	}
	return held
}
