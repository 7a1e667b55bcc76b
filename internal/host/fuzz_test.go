// SPDX-License-Identifier: Apache-2.0

package host

import (
	"strconv"
	"strings"
	"testing"
)

// FuzzLocks reads texts like /proc/locks: a pid that is found stands in a line
// of the inode.
func FuzzLocks(f *testing.F) {
	f.Add("1: POSIX  ADVISORY  WRITE 11 00:1b:5678 0 EOF\n2: FLOCK  ADVISORY  WRITE 22 00:1b:5678 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 44 00:1b:5678 0 EOF\n", "00:1b:5678")
	f.Add("3: FLOCK ADVISORY WRITE -1 a 0 EOF", "a")
	f.Add("4: FLOCK", "")
	f.Fuzz(func(t *testing.T, locks, inode string) {
		pid := flockOwner(locks, inode)
		if pid == 0 {
			return
		}
		for line := range strings.Lines(locks) {
			if strings.Contains(line, "FLOCK") && strings.Contains(line, strconv.Itoa(pid)[1:]) && strings.Contains(line, inode) {
				return
			}
		}
		t.Errorf("pid %d, which stands in no lock of %q", pid, inode)
	})
}

// FuzzProcess reads texts like those below /proc/PID.
func FuzzProcess(f *testing.F) {
	f.Add("waymark\x00apply\x00", "12:pids:/x\n0::/user.slice/user-0.slice/session-1.scope\n", "Name:\tx\nUid:\t0\t1000\t0\t0\n")
	f.Add("\x00\x00", "0::", "Uid:\n")
	f.Fuzz(func(t *testing.T, words, groups, status string) {
		if name := verb(words); strings.Contains(name, "\x00") {
			t.Errorf("the verb is %q", name)
		}
		if unit := unitOf(groups); !strings.Contains(groups, unit) {
			t.Errorf("the unit is %q", unit)
		}
		if path := cgroup2Path(groups); path != "/" && !strings.Contains(groups, "0::"+path) {
			t.Errorf("the cgroup is %q", path)
		}
		effectiveUID(status)
		if path := upTo(groups, words); !strings.HasPrefix(groups, path) {
			t.Errorf("the container's cgroup is %q", path)
		}
	})
}
