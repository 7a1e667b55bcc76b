// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFlock has one that waits for its turn and gets it, which costs no CPU time, and
// one that gives up and is in nobody's way later.
func TestFlock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	holder, patient, impatient := open(), open(), open()
	if err := new(Loader).flock(holder, unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	done, said, got := make(chan struct{}), make(chan string, 1), make(chan error, 2)
	waits := &Loader{options: Options{Waiting: func(who string) { said <- who }}}
	leaves := &Loader{options: Options{Done: done}}
	go func() { got <- leaves.flock(impatient, unix.LOCK_EX); impatient.Close() }()
	close(done)
	if err := <-got; err == nil {
		t.Error("who gave up has the lock")
	}
	go func() { got <- waits.flock(patient, unix.LOCK_EX) }()
	begun := processorTime(t)
	if who := <-said; who == "" {
		t.Error("it is not said who is waited for")
	}
	if used := processorTime(t) - begun; used > lockPatience/100 {
		t.Errorf("waiting for %v took %v of CPU time", lockPatience, used)
	}
	if who := <-said; who != "" {
		t.Errorf("it is said again that %s is waited for", who)
	}
	holder.Close()
	select {
	case err := <-got:
		if err != nil {
			t.Errorf("after its turn came: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("its turn does not come")
	}
	patient.Close()
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
