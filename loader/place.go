// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// placeDir is the cgroup that has a place for each class in which a command
// was started, a cgroup of the class's name. Each command has one of its own
// in there.
const placeDir = plan.PlaceDir

// Place is the cgroup of one command.
type Place struct {
	Dir *os.File // the cgroup's directory, for SysProcAttr.CgroupFD; locked while its command is looked after
}

// Place makes a cgroup whose sockets are of a class, whatever else the policy
// says of them, for one command. It is armed when Place returns, and stays so
// through later applies of a policy that has the class. What earlier commands
// left is removed.
func (l *Loader) Place(class string) (*Place, error) {
	policy, err := l.Applied()
	if err != nil {
		return nil, err
	}
	known := false
	for _, c := range policy.Classes {
		known = known || c.Name == class
	}
	if !known {
		return nil, fmt.Errorf("start in class %q: the applied policy has no such class: `waymark status` lists those it has", class)
	}
	dir := filepath.Join(l.root, placeDir, class)
	sweep(filepath.Join(l.root, placeDir))
	p, err := newPlace(dir)
	if err != nil {
		return nil, fmt.Errorf("start in class %s: %w", class, err)
	}
	if _, err := l.Heal(Healing{}); err != nil {
		p.Close()
		return nil, fmt.Errorf("start in class %s: %w", class, err)
	}
	return p, nil
}

// newPlace makes a cgroup below dir and locks it. One that somebody swept
// before it was locked is made again.
func newPlace(dir string) (*Place, error) {
	for {
		path := filepath.Join(dir, fmt.Sprintf("%d-%08x", os.Getpid(), rand.Uint32()))
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, fmt.Errorf("make cgroup: %w", err)
		}
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil && exists(path) {
			return &Place{file}, nil
		}
		file.Close()
	}
}

// Close removes the cgroup, unless processes are left in it: they keep it, and
// their class, and a later command removes it once they have ended.
func (p *Place) Close() {
	_ = os.Remove(p.Dir.Name())
	p.Dir.Close()
}

// sweep removes the cgroups below the places of all classes that nobody looks
// after and no process is in.
func sweep(places string) {
	paths, _ := filepath.Glob(filepath.Join(places, "*", "*"))
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			continue
		}
		if info, err := file.Stat(); err == nil && info.IsDir() && unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = syscall.Rmdir(path)
		}
		file.Close()
	}
}

// removePlaces takes away, on down, the places in which nothing runs.
func removePlaces(root string) {
	dir := filepath.Join(root, placeDir)
	sweep(dir)
	paths, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, path := range append(paths, dir) {
		_ = syscall.Rmdir(path)
	}
}

// places are the classes in which commands were started.
func places(root string) (map[string]bool, error) {
	entries, err := os.ReadDir(filepath.Join(root, placeDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the cgroups of `waymark exec`: %w", err)
	}
	classes := map[string]bool{}
	for _, e := range entries {
		if e.IsDir() {
			classes[e.Name()] = true
		}
	}
	return classes, nil
}
