// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"waymark/internal/host"
)

// lock is the right to change: the directory of all instances, held open
// and locked.
type lock struct{ dir *os.File }

// lock makes the directory of all instances if need be, mounting the BPF
// file system if nobody has, and waits for whoever holds it.
func (l *Loader) lock() (*lock, error) {
	bpffs, mounted, err := host.Bpffs()
	if err != nil {
		return nil, err
	}
	if !mounted {
		if err := host.MountBpffs(bpffs); err != nil {
			return nil, err
		}
	}
	home, err := l.home()
	if err != nil {
		return nil, err
	}
	for {
		if err := os.Mkdir(home, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("make the pin directory: %w", err)
		}
		held, err := lockDir(home)
		if err != nil {
			return nil, err
		}
		if held != nil {
			return held, nil
		}
	}
}

// lockDir locks a directory; nil if it was removed while we waited.
func lockDir(path string) (*lock, error) {
	dir, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	for {
		err = unix.Flock(int(dir.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		dir.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	now, err := os.Stat(path)
	mine, mineErr := dir.Stat()
	if err != nil || mineErr != nil || !os.SameFile(now, mine) {
		dir.Close()
		return nil, nil
	}
	return &lock{dir}, nil
}

// release gives the right back, and removes the directory, and a mount of
// ours, if nothing is left in them.
func (k *lock) release() {
	// A directory that is not empty stays, and that is all a failure means.
	_ = os.Remove(k.dir.Name())
	k.dir.Close()
	if bpffs, mounted, err := host.Bpffs(); err == nil && mounted {
		_ = host.UnmountBpffs(bpffs)
	}
}
