// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLockHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	mine, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	if got := LockHolder(mine); got != "another process" {
		t.Errorf("nobody holds it, and the holder is %q", got)
	}
	if err := unix.Flock(int(mine.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("pid %d (%s)", os.Getpid(), filepath.Base(os.Args[0]))
	if got := LockHolder(mine); got != want {
		t.Errorf("the holder is %q, want %q", got, want)
	}
}

func TestFlockOwner(t *testing.T) {
	const locks = `1: POSIX  ADVISORY  WRITE 11 00:1b:5678 0 EOF
2: FLOCK  ADVISORY  WRITE 22 00:1b:567 0 EOF
3: FLOCK  ADVISORY  WRITE 33 00:1b:5678 0 EOF
3: -> FLOCK  ADVISORY  WRITE 44 00:1b:5678 0 EOF
4: FLOCK
`
	if pid := flockOwner(locks, "00:1b:5678"); pid != 33 {
		t.Errorf("pid %d, want 33", pid)
	}
	if pid := flockOwner(locks, "00:1b:9"); pid != 0 {
		t.Errorf("pid %d, want 0", pid)
	}
}

func TestVerb(t *testing.T) {
	for cmdline, want := range map[string]string{
		"/usr/sbin/waymark\x00apply\x00-f\x00x\x00": "waymark apply",
		"waymark\x00":               "waymark",
		"waymark\x00--help\x00":     "waymark",
		"/usr/bin/flock\x00dir\x00": "flock dir",
	} {
		if got := verb(cmdline); got != want {
			t.Errorf("%q is %q, want %q", cmdline, got, want)
		}
	}
}
