// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"io/fs"
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

// NamespacesOf are the network namespaces of the processes in the cgroups
// with these ids, and in those below them, as far as they lie below root. A
// process that ends meanwhile has none.
func NamespacesOf(root string, ids map[uint64]bool) ([]*Namespace, error) {
	found := map[uint64]*Namespace{}
	below := "" // the cgroup of ids that the walk is in
	err := filepath.WalkDir(root, func(dir string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.IsDir() {
			return err
		}
		if below == "" || !strings.HasPrefix(dir, below+"/") {
			var there unix.Stat_t
			if unix.Stat(dir, &there) != nil || !ids[there.Ino] {
				return nil
			}
			below = dir
		}
		addNamespaces(found, dir)
		return nil
	})
	var all []*Namespace
	for _, n := range found {
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

// addNamespaces adds those of one cgroup's processes. What cannot be read is
// gone, or a cgroup of threads, whose processes another one lists.
func addNamespaces(found map[uint64]*Namespace, cgroup string) {
	pids, err := os.ReadFile(filepath.Join(cgroup, "cgroup.procs"))
	if err != nil {
		return
	}
	for pid := range strings.Lines(string(pids)) {
		path := fmt.Sprintf("/proc/%s/ns/net", strings.TrimSpace(pid))
		var there unix.Stat_t
		if unix.Stat(path, &there) != nil || found[there.Ino] != nil {
			continue
		}
		if file, err := os.Open(path); err == nil {
			found[there.Ino] = &Namespace{Inode: there.Ino, file: file}
		}
	}
}
