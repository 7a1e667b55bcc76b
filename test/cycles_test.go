// SPDX-License-Identifier: Apache-2.0

package test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"waymark/classes"
	"waymark/internal/lab"
	"waymark/loader"
)

var cycles = flag.Int("cycles", 0, "how many applies and downs TestCycles does; 0 for 5, and with -long for 10,000, which take six hours")

// TestCycles applies changing policies and takes them down, again and again,
// in one process: what it holds of the kernel and of memory does not grow.
// Nearly all of a cycle is the kernel verifying the programs.
func TestCycles(t *testing.T) {
	total := *cycles
	if total == 0 && *long {
		total = 10000
	}
	if total == 0 {
		total = 5 // each of the policies once
	}
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	s.mark(t)
	first := s.cyclesOf(t, 0, 5) // what is made once and kept: caches, threads, the probes' answers
	t.Logf("at first %s", first)
	for done := 0; done < total; {
		n := min(100, total-done)
		now := s.cyclesOf(t, 5+done, n)
		done += n
		t.Logf("%d cycles later %s", done, now)
		first.compare(t, now)
	}
}

// cyclesOf is some cycles, and what the process has after them.
func (s *site) cyclesOf(t *testing.T, from, n int) holding {
	t.Helper()
	err := s.Host.Do(func() error {
		for k := range n {
			if err := s.cycle(from + k); err != nil {
				return fmt.Errorf("cycle %d: %w", from+k, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.gone(t)
	return s.holding(t)
}

// cycle applies two of the policies, goes back once in a while, and down.
func (s *site) cycle(n int) error {
	l, err := loader.Open(loader.Options{CgroupRoot: s.CgroupRoot()})
	if err != nil {
		return err
	}
	defer l.Close()
	policies := []string{killOld, killNew, onePolicy, killMask, anotherPolicy}
	for k := range 1 + n%2 {
		policy, err := classes.Parse("policy.yaml", []byte(policies[(n+k)%len(policies)]))
		if err != nil {
			return err
		}
		if _, err := l.Apply(policy); err != nil {
			return err
		}
	}
	if n%4 == 3 {
		if _, err := l.Rollback(0); err != nil {
			return err
		}
	}
	_, err = l.Down()
	return err
}

// A holding is what a process has of the machine.
type holding struct {
	fds        []string
	goroutines int
	heap       uint64 // bytes
	objects    int    // BPF links, programs and maps that its descriptors hold
}

func (s *site) holding(t *testing.T) (h holding) {
	t.Helper()
	// Twice: what has a finalizer goes at the second.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h.heap, h.goroutines = m.HeapAlloc, runtime.NumGoroutine()
	for _, e := range must[[]os.DirEntry](t)(os.ReadDir("/proc/self/fd")) {
		target, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
		if err != nil {
			continue
		}
		kind, _, _ := strings.Cut(target, ":")
		h.fds = append(h.fds, kind)
		if strings.HasPrefix(target, "anon_inode:bpf") {
			h.objects++
		}
	}
	slices.Sort(h.fds)
	return h
}

func (h holding) String() string {
	return fmt.Sprintf("%d descriptors, %d of BPF, %d goroutines, %d KiB of heap", len(h.fds), h.objects, h.goroutines, h.heap>>10)
}

func (h holding) compare(t *testing.T, last holding) {
	t.Helper()
	if !slices.Equal(h.fds, last.fds) || last.objects != 0 {
		t.Errorf("descriptors were %v and are %v", h.fds, last.fds)
	}
	if last.goroutines > h.goroutines {
		t.Errorf("goroutines were %d and are %d", h.goroutines, last.goroutines)
	}
	if last.heap > h.heap+4<<20 {
		t.Errorf("the heap was %d bytes and is %d", h.heap, last.heap)
	}
}
