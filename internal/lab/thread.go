// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// onThread runs fn, which may change namespaces, on a thread that nothing else
// uses meanwhile. It is never the process's first thread, whose namespaces
// /proc shows as those of the whole process.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		err := errors.New("function ended its goroutine")
		defer func() { done <- err }()
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			defer runtime.UnlockOSThread()
			err = onThread(fn) // on another thread, as this one is taken
			return
		}
		home, e := netns.Get()
		if e != nil {
			err = fmt.Errorf("find own namespace: %w", e)
			return
		}
		defer goHome(home)
		err = fn()
	}()
	return <-done
}

// goHome gives the thread back. One that cannot come home stays locked, and so
// ends with its goroutine.
func goHome(home netns.NsHandle) {
	if netns.Set(home) == nil {
		runtime.UnlockOSThread()
	}
	home.Close()
}

// newNamespace returns a descriptor that alone keeps a new namespace alive.
func newNamespace() (ns netns.NsHandle, err error) {
	err = onThread(func() (err error) {
		ns, err = netns.New()
		return err
	})
	return ns, err
}
