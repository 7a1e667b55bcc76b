// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/coreos/go-systemd/v22/dbus"
	"github.com/coreos/go-systemd/v22/util"
)

// ErrNoSystemd says that no systemd keeps this host's cgroups.
var ErrNoSystemd = errors.New("no systemd runs here")

// EnterScope moves this process into a scope of its own, which systemd makes
// in a slice of the system's and removes with its last process, and returns
// the scope's cgroup, a directory. ErrNoSystemd says that none answers.
func EnterScope(scope, slice, description string) (dir string, err error) {
	if !util.IsRunningSystemd() {
		return "", ErrNoSystemd
	}
	err = onSystemd(func(ctx context.Context, systemd *dbus.Conn) error {
		done := make(chan string, 1)
		if _, err := systemd.StartTransientUnitContext(ctx, scope, "fail", []dbus.Property{
			dbus.PropDescription(description), dbus.PropSlice(slice), dbus.PropPids(uint32(os.Getpid()))}, done); err != nil {
			return err
		}
		return finished(ctx, done)
	})
	if err != nil {
		return "", fmt.Errorf("have systemd make %s: %w", scope, err)
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	top, err := CgroupRoot()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(top, cgroup2Path(string(groups)))
	if filepath.Base(dir) != scope {
		return "", fmt.Errorf("have systemd make %s: this process is in %s all the same", scope, dir)
	}
	return dir, nil
}

// StopSlice has systemd forget a slice whose cgroup, a directory, no process
// is in. One that is in use, or that nobody knows of, stays.
func StopSlice(dir string) {
	events, err := os.ReadFile(filepath.Join(dir, "cgroup.events"))
	if err != nil || !strings.Contains(string(events), "populated 0") || !util.IsRunningSystemd() {
		return
	}
	_ = onSystemd(func(ctx context.Context, systemd *dbus.Conn) error {
		done := make(chan string, 1)
		if _, err := systemd.StopUnitContext(ctx, filepath.Base(dir), "fail", done); err != nil {
			return err
		}
		return finished(ctx, done)
	})
}

// onSystemd is a word with the system's systemd. ErrNoSystemd says that it
// does not answer.
func onSystemd(talk func(context.Context, *dbus.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), systemdPatience)
	defer cancel()
	systemd, err := dbus.NewWithContext(ctx)
	if err != nil {
		return ErrNoSystemd
	}
	defer systemd.Close()
	return talk(ctx, systemd)
}

// finished waits for a job of systemd's to be done.
func finished(ctx context.Context, done <-chan string) error {
	select {
	case result := <-done:
		if result != "done" {
			return fmt.Errorf("the job is %s", result)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
