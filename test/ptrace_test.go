// SPDX-License-Identifier: Apache-2.0

package test

import (
	endian "encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A change is a system call that changes what others can see: the BPF
// objects and their pins, rules and routes, sysctls, mounts.
type change struct {
	n     int    // counted from 1
	kind  string // "bpf MAP_UPDATE_ELEM", "netlink 32", "renameat"
	after bool   // it is made, and the caller has not heard of it
}

// changesOf runs the command on the host under the eye of ptrace, and calls
// at before and after each change; when that says so, the process is killed
// before the call does anything, or returns. It returns how many changes there
// were, and the exit code, -1 for killed.
func (s *site) changesOf(t *testing.T, args []string, at func(change) (kill bool)) (n, code int) {
	t.Helper()
	code = s.traced(t, args, func(c change, _ int) (bool, error) {
		n = c.n
		return at(c), nil
	})
	return n, code
}

// traced runs the command on the host and returns its exit code, -1 for
// killed; at is called before and after each change, with the thread that
// makes it.
func (s *site) traced(t *testing.T, args []string, at func(change, int) (kill bool, err error)) (code int) {
	t.Helper()
	path := binary(t)
	err := s.Host.Do(func() (err error) {
		c := exec.Command(path, args...)
		c.Env = append(s.environ(c), "GOMAXPROCS=1")
		c.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
		if err := c.Start(); err != nil {
			return err
		}
		code, err = trace(c.Process.Pid, at)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// trace follows a stopped process and its threads to the end. The calling
// thread is the one that started it.
func trace(pid int, at func(change, int) (bool, error)) (code int, err error) {
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != nil {
		return 0, err
	}
	const options = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(pid, options); err != nil {
		return 0, err
	}
	killed, w := false, witness{pid: pid, making: map[int]change{}}
	for thread, signal := pid, 0; ; {
		if err := unix.PtraceSyscall(thread, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return 0, err
		}
		if thread, err = unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil); err != nil {
			return 0, fmt.Errorf("wait for the traced process: %w", err)
		}
		signal = 0
		switch {
		case thread == pid && status.Exited():
			return status.ExitStatus(), nil
		case thread == pid && status.Signaled():
			return -1, nil
		case !status.Stopped():
		case status.StopSignal() == unix.SIGTRAP|0x80:
			c, ok := w.at(thread)
			if !ok || killed {
				continue
			}
			if killed, err = at(c, thread); err != nil {
				return 0, err
			}
			if killed {
				if err := unix.Kill(pid, unix.SIGKILL); err != nil {
					return 0, err
				}
			}
		case status.StopSignal() != unix.SIGTRAP && status.StopSignal() != unix.SIGSTOP:
			signal = int(status.StopSignal())
		}
	}
}

// A witness sees the changes of a process.
type witness struct {
	pid    int
	n      int            // changes so far
	making map[int]change // by thread
}

// at is the change that a thread is about to make, or has made.
func (w *witness) at(thread int) (c change, ok bool) {
	info := stoppedAt(thread)
	c, made := w.making[thread]
	delete(w.making, thread)
	if info.op == exit {
		c.after = true
		return c, made
	}
	kind := changing(w.pid, thread, info)
	if kind == "" {
		return c, false
	}
	w.n++
	c = change{n: w.n, kind: kind}
	w.making[thread] = c
	return c, true
}

// stop is struct ptrace_syscall_info at the entry of a call; at its exit, op
// alone says something.
type stop struct {
	op   uint8
	_    [3]uint8
	_    uint32
	_, _ uint64
	nr   uint64
	args [6]uint64
	_    [2]uint64
}

const entry, exit = 1, 2

// stoppedAt is where a thread stands; zero if it is gone.
func stoppedAt(thread int) (s stop) {
	const getSyscallInfo = 0x420e
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, getSyscallInfo, uintptr(thread), unsafe.Sizeof(s), uintptr(unsafe.Pointer(&s)), 0, 0); errno != 0 {
		return stop{}
	}
	return s
}

// changing is the kind of change that a thread is about to make; "" is none.
func changing(pid, thread int, info stop) string {
	if info.op != entry {
		return ""
	}
	switch info.nr {
	case unix.SYS_BPF:
		return bpfChange(info.args[0])
	case unix.SYS_SENDTO:
		return netlinkChange(thread, uintptr(info.args[1]))
	case unix.SYS_WRITE:
		if file, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, info.args[0])); strings.HasPrefix(file, "/proc/sys/") {
			return "write sysctl"
		}
	case unix.SYS_MKDIRAT, unix.SYS_RENAMEAT, unix.SYS_UNLINKAT, unix.SYS_LINKAT, unix.SYS_MOUNT, unix.SYS_UMOUNT2:
		return callNames[info.nr]
	}
	return ""
}

var callNames = map[uint64]string{unix.SYS_MKDIRAT: "mkdirat", unix.SYS_RENAMEAT: "renameat", unix.SYS_UNLINKAT: "unlinkat",
	unix.SYS_LINKAT: "linkat", unix.SYS_MOUNT: "mount", unix.SYS_UMOUNT2: "umount2"}

// bpfChange: loading a program or making a map changes nothing that others
// see before it is pinned, put or attached.
func bpfChange(command uint64) string {
	return map[uint64]string{
		unix.BPF_MAP_UPDATE_ELEM: "bpf MAP_UPDATE_ELEM", unix.BPF_MAP_DELETE_ELEM: "bpf MAP_DELETE_ELEM",
		unix.BPF_MAP_UPDATE_BATCH: "bpf MAP_UPDATE_BATCH", unix.BPF_OBJ_PIN: "bpf OBJ_PIN", unix.BPF_LINK_CREATE: "bpf LINK_CREATE",
		unix.BPF_LINK_UPDATE: "bpf LINK_UPDATE", unix.BPF_PROG_ATTACH: "bpf PROG_ATTACH", unix.BPF_PROG_DETACH: "bpf PROG_DETACH",
	}[command]
}

// netlinkChange reads the type out of a message's header: of four types in a
// row the third asks and the others change.
func netlinkChange(thread int, message uintptr) string {
	var header [16]byte
	if _, err := unix.PtracePeekData(thread, message, header[:]); err != nil {
		return ""
	}
	if kind := endian.NativeEndian.Uint16(header[4:]); kind >= unix.RTM_BASE && kind != unix.SOCK_DIAG_BY_FAMILY && kind%4 != 2 {
		return fmt.Sprintf("netlink %d", kind)
	}
	return ""
}
