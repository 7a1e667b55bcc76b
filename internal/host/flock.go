// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// LockHolder names the process that holds a flock on an open file, by pid
// and verb: "pid 1234 (waymark apply)". One that is in another pid namespace,
// or has let go meanwhile, is "another process".
func LockHolder(file *os.File) string {
	const unknown = "another process"
	var s unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &s); err != nil {
		return unknown
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return unknown
	}
	pid := flockOwner(string(locks), fmt.Sprintf("%02x:%02x:%d", unix.Major(s.Dev), unix.Minor(s.Dev), s.Ino))
	if pid <= 0 {
		return unknown
	}
	words, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(words) == 0 {
		return fmt.Sprintf("pid %d", pid)
	}
	return fmt.Sprintf("pid %d (%s)", pid, verb(string(words)))
}

// flockOwner finds the pid in the text of /proc/locks; 0 for none. A line is
// "1: FLOCK ADVISORY WRITE 1234 00:1b:5678 0 EOF"; those that wait have an
// arrow behind their number.
func flockOwner(locks, inode string) int {
	for line := range strings.Lines(locks) {
		f := strings.Fields(line)
		if len(f) >= 6 && f[1] == "FLOCK" && f[5] == inode {
			pid, _ := strconv.Atoi(f[4])
			return pid
		}
	}
	return 0
}

// verb is a command line, as in /proc/PID/cmdline, cut to the program and
// its first word.
func verb(cmdline string) string {
	words := strings.Split(strings.TrimRight(cmdline, "\x00"), "\x00")
	name := filepath.Base(words[0])
	if len(words) > 1 && !strings.HasPrefix(words[1], "-") {
		name += " " + words[1]
	}
	return name
}
