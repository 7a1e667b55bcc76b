// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// space is a network namespace that is empty, and a thread in it.
type space struct {
	tasks chan func()
}

// newSpace makes one. It is gone when its thread and all clients are.
func newSpace() (*space, error) {
	s, made := &space{tasks: make(chan func())}, make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this function
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = upLoopback()
		}
		if err == nil {
			// Sockets for pings are allowed to everybody; /proc shows those of the thread's namespace.
			err = os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 2147483647"), 0)
		}
		made <- err
		for task := range s.tasks {
			task()
		}
	}()
	if err := <-made; err != nil {
		close(s.tasks)
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	return s, nil
}

// upLoopback sets lo up. Without it the kernel takes the addresses of others for
// broadcasts, and binds nothing to them.
func upLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// do runs a function in the namespace.
func (s *space) do(f func() error) error {
	done := make(chan error)
	s.tasks <- func() { done <- f() }
	return <-done
}

func (s *space) close() { close(s.tasks) }
