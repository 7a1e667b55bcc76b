// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"waymark/classes"
	"waymark/internal/host"
	"waymark/internal/plan"
)

// Place is the cgroup of one command.
type Place struct {
	Dir   *os.File // the cgroup's directory, for SysProcAttr.CgroupFD; locked while its command is looked after
	ended func()   // what is to be done once the command has
}

// Place makes a cgroup whose sockets are of a class, whatever else the policy
// says of them, for one command. It is armed when Place returns, and stays so
// through later applies of a policy that has the class. What earlier commands
// left is removed. Where systemd keeps the host's cgroups it is a scope, and
// this process is in it, too.
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
	sweep(filepath.Join(l.root, plan.PlaceDir))
	first := !places(l.root, policy.Classes)[class]
	p, err := l.newPlace(class)
	if err != nil {
		return nil, fmt.Errorf("start in class %s: %w", class, err)
	}
	p.ended = func() { l.outlived(class) }
	if _, err := l.Heal(Healing{}); err != nil {
		p.Close()
		if first {
			l.removePlace(class)
		}
		return nil, fmt.Errorf("start in class %s: %w", class, err)
	}
	return p, nil
}

// outlived takes away the place of a command that was still running when
// everything was taken down, which only it kept there.
func (l *Loader) outlived(class string) {
	dir, err := l.dir()
	if err != nil {
		return
	}
	if _, err := l.State(); errors.Is(err, fs.ErrNotExist) && !shared(l.root, dir) {
		l.removePlace(class)
	}
}

// removePlace takes away the place of a class, which nothing has armed: the plan
// would have it for as long as it is there. One that another command is in stays.
func (l *Loader) removePlace(class string) {
	_ = syscall.Rmdir(filepath.Join(l.root, plan.Places(class)[0]))
	_ = syscall.Rmdir(filepath.Join(l.root, plan.PlaceDir)) // another class's may be in it
}

// newPlace has systemd make a scope, where it is the host's own cgroups that
// are classed, and systemd's; otherwise it makes a cgroup.
func (l *Loader) newPlace(class string) (*Place, error) {
	name := fmt.Sprintf("%d-%08x", os.Getpid(), rand.Uint32())
	places := plan.Places(class)
	if top, err := host.CgroupRoot(); err == nil && top == l.root {
		dir, err := host.EnterScope("waymark-"+name+".scope", filepath.Base(places[1]), "A command in waymark's class "+class)
		if err == nil {
			file, err := os.Open(dir)
			return &Place{Dir: file}, err
		}
		if !errors.Is(err, host.ErrNoSystemd) {
			return nil, err
		}
	}
	return makePlace(filepath.Join(l.root, places[0], name))
}

// makePlace makes a cgroup and locks it. One that somebody swept before it was
// locked is made again.
func makePlace(path string) (*Place, error) {
	for {
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
			return &Place{Dir: file}, nil
		}
		file.Close()
	}
}

// Close removes the cgroup, unless processes are left in it: they keep it, and
// their class, and a later command removes it once they have ended.
func (p *Place) Close() {
	removeCgroup(p.Dir.Name())
	p.Dir.Close()
	p.ended()
}

// removeCgroup removes a cgroup and those that were made in it, unless a process
// is in one of them.
func removeCgroup(dir string) {
	events, err := os.ReadFile(filepath.Join(dir, "cgroup.events"))
	if err != nil || !strings.Contains(string(events), "populated 0") {
		return
	}
	var all []string
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			all = append(all, path)
		}
		return nil
	})
	for _, path := range slices.Backward(all) {
		_ = syscall.Rmdir(path)
	}
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
			removeCgroup(path)
		}
		file.Close()
	}
}

// shared tells whether the instance of another network namespace than that of
// dir, a copy of the host's for one, classes the same cgroups: places are in its
// plan, too.
func shared(root, dir string) bool {
	all, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), "*"))
	return slices.ContainsFunc(all, func(other string) bool {
		if namespace, _, _ := strings.Cut(filepath.Base(other), "-"); namespace == filepath.Base(dir) {
			return false
		}
		s, err := readState(other)
		return err == nil && s.CgroupRoot == root
	})
}

// removePlaces takes away, on down, the places in which nothing runs.
func removePlaces(root string) {
	dir := filepath.Join(root, plan.PlaceDir)
	sweep(dir)
	paths, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, path := range append(paths, dir) {
		_ = syscall.Rmdir(path)
	}
	dir = filepath.Join(root, plan.PlaceSlice)
	paths, _ = filepath.Glob(filepath.Join(dir, "*.slice"))
	for _, path := range append(paths, dir) {
		host.StopSlice(path)
	}
}

// places are the classes in which commands were started.
func places(root string, all []classes.Class) map[string]bool {
	cgroups := map[string]bool{}
	for _, parent := range []string{plan.PlaceDir, plan.PlaceSlice} {
		entries, _ := os.ReadDir(filepath.Join(root, parent)) // none, as a rule
		for _, e := range entries {
			cgroups[filepath.Join(parent, e.Name())] = true
		}
	}
	started := map[string]bool{}
	for _, c := range all {
		if len(cgroups) > 0 && slices.ContainsFunc(plan.Places(c.Name), func(place string) bool { return cgroups[place] }) {
			started[c.Name] = true
		}
	}
	return started
}
