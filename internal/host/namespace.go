// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace, held open.
type Namespace struct {
	Inode uint64 // by which lsns knows it
	file  *os.File
}

// Close lets the namespace go.
func (n *Namespace) Close() error { return n.file.Close() }

// Do runs f on a thread inside the namespace, which ends with f.
func (n *Namespace) Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// /proc shows this thread's namespaces as the whole process's.
			defer runtime.UnlockOSThread()
			done <- n.Do(f)
			return
		}
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter network namespace %d: %w", n.Inode, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// NamespacesOf are the network namespaces, other than the calling thread's, of
// the processes in cgroups with some ids, and in those below them, as far as
// they lie below root. The ids are asked for when the first process is seen
// that lives elsewhere; on most hosts none does. A process that ends meanwhile
// has none.
func NamespacesOf(root string, ids func() (map[uint64]bool, error)) ([]*Namespace, error) {
	s := &namespaceSearch{root: root, ids: ids, found: map[uint64]*Namespace{}, named: map[string]bool{}}
	err := s.run()
	var all []*Namespace
	for _, n := range s.found {
		all = append(all, n)
	}
	if err != nil {
		for _, n := range all {
			n.Close()
		}
		return nil, fmt.Errorf("find the network namespaces of cgroups: %w", err)
	}
	return all, nil
}

// namespaceSearch goes through the processes, of which each is in one cgroup,
// and not through the cgroups, of which most can be empty.
type namespaceSearch struct {
	root  string
	tree  string // root, as /proc/PID/cgroup has it
	ids   func() (map[uint64]bool, error)
	found map[uint64]*Namespace
	named map[string]bool // whether a directory has one of the ids, or lies below one that has
}

func (s *namespaceSearch) run() error {
	own, err := NetnsInode()
	if err != nil {
		return err
	}
	if s.tree, err = treePath(s.root); err != nil {
		return err
	}
	proc, err := os.Open("/proc")
	if err != nil {
		return err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	for _, name := range names {
		if name[0] < '1' || name[0] > '9' {
			continue
		}
		if err := s.look("/proc/"+name, own); err != nil {
			return err
		}
	}
	return err
}

// look adds the namespace of one process. What cannot be read is gone.
func (s *namespaceSearch) look(process string, own uint64) error {
	path := process + "/ns/net"
	var there unix.Stat_t
	if unix.Stat(path, &there) != nil || there.Ino == own || s.found[there.Ino] != nil {
		return nil
	}
	groups, err := os.ReadFile(process + "/cgroup")
	if err != nil {
		return nil
	}
	below, err := filepath.Rel(s.tree, cgroup2Path(string(groups)))
	if err != nil || below == ".." || strings.HasPrefix(below, "../") {
		return nil
	}
	ids, err := s.ids()
	if err != nil || !s.isNamed(filepath.Join(s.root, below), ids) {
		return err
	}
	if file, err := os.Open(path); err == nil {
		s.found[there.Ino] = &Namespace{Inode: there.Ino, file: file}
	}
	return nil
}

func (s *namespaceSearch) isNamed(dir string, ids map[uint64]bool) bool {
	named, known := s.named[dir]
	if !known {
		var there unix.Stat_t
		named = unix.Stat(dir, &there) == nil && ids[there.Ino] ||
			dir != s.root && s.isNamed(filepath.Dir(dir), ids)
		s.named[dir] = named
	}
	return named
}
