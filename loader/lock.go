// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/host"
)

// lock is the right to change what a network namespace has. The namespace
// itself is locked, against others who would change it, and the directory of
// all instances is shared, against those who would remove it.
type lock struct{ home, netns *os.File }

// lock makes the directory of all instances if need be, mounting the BPF
// file system if nobody has, and waits for whoever holds the lock.
func (l *Loader) lock() (*lock, error) {
	k := &lock{}
	for k.home == nil {
		home, err := makeHome()
		if err != nil {
			return nil, err
		}
		if k.home, err = l.shareDir(home); err != nil {
			return nil, err
		}
	}
	var err error
	if k.netns, err = host.OpenNetns(); err == nil {
		err = l.flock(k.netns, unix.LOCK_EX)
	}
	if err != nil {
		k.release()
		return nil, fmt.Errorf("lock network namespace %d: %w", l.netns, err)
	}
	if err := l.bury(); err != nil {
		k.release()
		return nil, err
	}
	return k, nil
}

// makeHome makes the directory of all instances, and mounts the file system for
// it, where they are not. The last one out of another network namespace may take
// them away again until it is shared.
func makeHome() (string, error) {
	bpffs, mounted, err := host.Bpffs()
	if err != nil {
		return "", err
	}
	if !mounted {
		if err := host.MountBpffs(bpffs); err != nil {
			return "", err
		}
	}
	home := filepath.Join(bpffs, homeName)
	err = os.Mkdir(home, 0o700)
	if err == nil || errors.Is(err, os.ErrExist) {
		return home, nil
	}
	if _, mounted, _ := host.Bpffs(); !mounted {
		return makeHome()
	}
	return "", fmt.Errorf("make the pin directory: %w", err)
}

// shareDir opens a directory with a shared lock; nil if it was removed while
// we waited.
func (l *Loader) shareDir(path string) (*os.File, error) {
	dir, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := l.flock(dir, unix.LOCK_SH); err != nil {
		dir.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	now, err := os.Stat(path)
	mine, mineErr := dir.Stat()
	if err != nil || mineErr != nil || !os.SameFile(now, mine) {
		dir.Close()
		return nil, nil
	}
	return dir, nil
}

// lockPatience is how long somebody may hold the lock before we say so, and that we
// still wait.
const lockPatience = 500 * time.Millisecond

// flock waits for the lock in the kernel, where those that wait have their turn
// as they came and cost nothing: hundreds that ask again leave no CPU to the one
// that has it. Who gives up leaves its turn to pass with the file, which is closed.
func (l *Loader) flock(dir *os.File, how int) error {
	if err := unix.Flock(int(dir.Fd()), how|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		return err
	}
	raw, err := dir.SyscallConn()
	if err != nil {
		return err
	}
	turn := make(chan error, 1)
	go func() {
		var lockErr error
		err := raw.Control(func(fd uintptr) {
			lockErr = unix.EINTR
			for errors.Is(lockErr, unix.EINTR) {
				lockErr = unix.Flock(int(fd), how)
			}
		})
		turn <- cmp.Or(err, lockErr)
	}()
	patience := time.NewTicker(lockPatience)
	defer patience.Stop()
	for said := false; ; {
		select {
		case err := <-turn:
			return err
		case <-patience.C:
			if l.options.Waiting == nil {
				continue
			}
			holder := ""
			if !said {
				holder = host.LockHolder(dir)
			}
			said = true
			l.options.Waiting(holder)
		case <-l.options.Done:
			return fmt.Errorf("given up while %s holds it", host.LockHolder(dir))
		}
	}
}

// release gives the right back. The last one out removes the directory, and
// a mount of ours, if nothing is left in them.
func (k *lock) release() {
	if k.netns != nil {
		k.netns.Close()
	}
	alone := unix.Flock(int(k.home.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
	if alone {
		// A directory that is not empty stays, and that is all a failure means.
		_ = os.Remove(k.home.Name())
	}
	k.home.Close() // nothing is unmounted that has a directory open
	if !alone {
		return // somebody else is in it
	}
	if bpffs, mounted, err := host.Bpffs(); err == nil && mounted {
		_ = host.UnmountBpffs(bpffs)
	}
}
