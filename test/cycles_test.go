// SPDX-License-Identifier: Apache-2.0

package test

import (
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

// TestCycles applies changing policies and takes them down, again and again,
// in one process: what it holds of the kernel and of memory does not grow.
func TestCycles(t *testing.T) {
	cycles := 5 // each of the policies once
	if *long {
		cycles = 10000
	}
	s := newSite(t, lab.Options{Uplinks: 3})
	s.cgroups(t, "app.slice")
	s.mark(t)
	warm := 5 // what is made once and kept: caches, threads, the probes' answers
	var first holding
	err := s.Host.Do(func() error {
		for n := range warm + cycles {
			if err := s.cycle(n); err != nil {
				return fmt.Errorf("cycle %d: %w", n, err)
			}
			if n == warm-1 {
				first = s.holding(t)
			}
		}
		last := s.holding(t)
		first.compare(t, last)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.gone(t)
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

func (h holding) compare(t *testing.T, last holding) {
	t.Helper()
	t.Logf("after the first cycles %d descriptors, %d goroutines, %d KiB; in the end %d, %d, %d KiB",
		len(h.fds), h.goroutines, h.heap>>10, len(last.fds), last.goroutines, last.heap>>10)
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
