// SPDX-License-Identifier: Apache-2.0

package test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"waymark/internal/host"
)

// pins is the directory of the host's instance.
func (s *site) pins() string { return pinsOf(s.Host.Inode()) }

func pinsOf(inode uint64) string {
	bpffs, _, _ := host.Bpffs()
	return filepath.Join(bpffs, "waymark", fmt.Sprint(inode))
}

// end takes the site down and looks for what is left of it.
func (s *site) end(t *testing.T, heldBefore []string) {
	t.Helper()
	s.tellLost(t)
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(heldBefore, held(t)); diff != "" {
			t.Errorf("the laboratory left something (-before +after):\n%s", diff)
		}
	}()
	s.unmeter()
	s.ok(t, "down")
	s.gone(t)
	for _, end := range slices.Backward(s.foreigners) {
		if err := end(); err != nil {
			t.Error(err)
		}
	}
}

// tellLost tells, of a test that failed, what cables lost on a machine that
// was too busy to take it: sums of senders and routers differ by that.
func (s *site) tellLost(t *testing.T) {
	t.Helper()
	for n := range s.Routers {
		stats, err := s.Host.Stats(s.Uplink(n).Interface)
		if t.Failed() && err == nil && stats.TxDropped > 0 {
			t.Logf("%d packets to router %d were lost on the way", stats.TxDropped, n)
		}
	}
}

// gone checks that nothing of any apply is left.
func (s *site) gone(t *testing.T) {
	t.Helper()
	if s.before != "" {
		if diff := lines(s.before, s.state(t)); diff != "" {
			t.Errorf("the state after down is not that before the first apply (-before +after):\n%s", diff)
		}
	}
	for _, suffix := range []string{"", "-new", "-old", "-lost"} {
		if _, err := os.Stat(s.pins() + suffix); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s%s: %v, want that it does not exist", s.pins(), suffix, err)
		}
	}
	if left := s.runFiles(); left != nil {
		t.Errorf("agents left %v", left)
	}
	eventually(t, "BPF objects are gone", func() error { return s.seen.gone() })
	eventually(t, "the BPF file system is as it was", emptyBpffs)
}

// runFiles are those of agents of the host, and of ones that were.
func (s *site) runFiles() []string {
	names, _ := filepath.Glob(fmt.Sprintf("/run/waymark/%d.*", s.Host.Inode()))
	return names
}

// lines is the difference of two long texts, line by line: what each has
// more of than the other.
func lines(before, after string) string {
	var out strings.Builder
	for _, side := range []struct{ sign, text, other string }{{"-", before, after}, {"+", after, before}} {
		left := map[string]int{}
		for line := range strings.Lines(side.other) {
			left[line]++
		}
		for line := range strings.Lines(side.text) {
			if left[line]--; left[line] < 0 {
				out.WriteString(side.sign + line)
			}
		}
	}
	if out.Len() == 0 && before != after {
		return "the same lines in another order:\n" + after
	}
	return out.String()
}

// eventually is for what the kernel does a moment after it was asked.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	eventuallyWithin(t, 10*time.Second, what, check)
}

// eventuallyLong is for what has a deadline of its own.
func eventuallyLong(t *testing.T, what string, check func() error) {
	t.Helper()
	eventuallyWithin(t, 2*time.Minute, what, check)
}

func eventuallyWithin(t *testing.T, patience time.Duration, what string, check func() error) {
	t.Helper()
	deadline, pause := time.Now().Add(patience), time.Millisecond
	for err := check(); err != nil; err = check() {
		if time.Now().After(deadline) {
			t.Errorf("%s: not yet: %v", what, err)
			return
		}
		pause = min(2*pause, 50*time.Millisecond) // some checks cost what would be done meanwhile
		time.Sleep(pause)
	}
}

// emptyBpffs tells whether a directory or mount of waymark's stands empty.
// Other tests may hold instances of their own at the same time.
func emptyBpffs() error {
	bpffs, mounted, err := host.Bpffs()
	if err != nil || !mounted {
		return err
	}
	if entries, err := os.ReadDir(filepath.Join(bpffs, "waymark")); err == nil && len(entries) == 0 {
		return fmt.Errorf("%s/waymark is there and empty", bpffs)
	}
	entries, err := os.ReadDir(bpffs)
	if err != nil || len(entries) > 0 {
		return err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if strings.Contains(string(mounts), " - bpf waymark ") {
		return fmt.Errorf("the mount of waymark's on %s is still there, and empty", bpffs)
	}
	return err
}
