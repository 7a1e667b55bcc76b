// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Requester says in words who holds the netlink port that asked the kernel
// for something: name, command line, pid and unit, as far as its process
// still lives. "" for port 0, which nobody holds. A port is mostly the pid of
// its process, as that process's own pid namespace counts.
func Requester(port uint32) string {
	if port == 0 {
		return ""
	}
	if text := processText(int(port)); port <= maxPid && port != initPid && text != "" {
		return text
	}
	if text := processText(portHolder(port)); text != "" {
		return text
	}
	if port <= maxPid {
		return fmt.Sprintf("process %d, which is gone", port)
	}
	return "a process that is gone"
}

// initPid opens sockets for those it starts, and keeps a hand on them:
// systemd-networkd's is from systemd-networkd.socket, at init's own port.
const initPid = 1

// maxPid is the kernel's PID_MAX_LIMIT: the ports of a process's second
// socket and later ones lie above.
const maxPid = 4 << 20

// processText is "ip rule del pref 1021 (pid 4711, session-2.scope)"; "" for
// no such process.
func processText(pid int) string {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	text, err := os.ReadFile(dir + "/cmdline")
	if pid <= 0 || err != nil {
		return ""
	}
	command := strings.TrimSpace(string(bytes.ReplaceAll(text, []byte{0}, []byte{' '})))
	if command == "" {
		comm, _ := os.ReadFile(dir + "/comm")
		command = strings.TrimSpace(string(comm))
	}
	if command == "" {
		return ""
	}
	if len(command) > 120 {
		command = command[:120] + "..."
	}
	where := fmt.Sprintf("pid %d", pid)
	if groups, err := os.ReadFile(dir + "/cgroup"); err == nil {
		if unit := unitOf(string(groups)); unit != "" {
			where += ", " + unit
		}
	}
	return fmt.Sprintf("%s (%s)", command, where)
}

// unitOf is the innermost systemd unit that a /proc/PID/cgroup names.
func unitOf(groups string) (unit string) {
	for line := range strings.Lines(groups) {
		if !strings.HasPrefix(line, "0::") && !strings.Contains(line, ":name=systemd:") {
			continue
		}
		for name := range strings.SplitSeq(strings.TrimSpace(line), "/") {
			if ext := path.Ext(name); ext == ".service" || ext == ".scope" {
				unit = name
			}
		}
	}
	return unit
}

// portHolder is a process with a socket at a netlink port, init only if no
// other has it; 0 for none.
func portHolder(port uint32) int {
	table, err := os.ReadFile("/proc/thread-self/net/netlink")
	if err != nil {
		return 0
	}
	inode := ""
	for line := range strings.Lines(string(table)) {
		// sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
		if f := strings.Fields(line); len(f) >= 10 && f[1] == "0" && f[2] == strconv.FormatUint(uint64(port), 10) {
			inode = f[9]
		}
	}
	if inode == "" {
		return 0
	}
	return socketHolder("socket:[" + inode + "]")
}

func socketHolder(socket string) (pid int) {
	all, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range all {
		if target, err := os.Readlink(fd); err == nil && target == socket {
			if pid, _ = strconv.Atoi(strings.Split(fd, "/")[2]); pid != initPid {
				break
			}
		}
	}
	return pid
}
