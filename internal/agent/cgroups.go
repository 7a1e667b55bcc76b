// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// cgroups hears of cgroups that are made and removed, by inotify. It is for
// kernels without the tracepoint at which they are armed as they are made: a
// process may have sockets in one before this hears of it.
type cgroups struct {
	root    string // whose subtree is watched; "" for none
	watcher *fsnotify.Watcher
	news    <-chan fsnotify.Event
	lost    <-chan error // notices were lost
}

// only watches the cgroups below a directory and no others; "" for none.
func (c *cgroups) only(root string) error {
	if root == c.root {
		return nil
	}
	c.stop()
	if root == "" {
		return nil
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch the cgroups: %w", err)
	}
	*c = cgroups{root: root, watcher: w, news: w.Events, lost: w.Errors}
	if err := c.add(root); err != nil {
		c.stop()
		return err
	}
	return nil
}

// add watches a cgroup and all below it. One that goes meanwhile needs none.
func (c *cgroups) add(dir string) error {
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = c.watcher.Add(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("watch the cgroups below %s: %w: raise fs.inotify.max_user_watches", dir, err)
	}
	return nil
}

func (c *cgroups) stop() {
	if c.watcher != nil {
		c.watcher.Close()
	}
	*c = cgroups{}
}

// followCgroups watches the cgroups that nobody arms as they are made.
func (a *Agent) followCgroups(unarmed string) {
	before := a.cgroups.root
	if err := a.cgroups.only(unarmed); err != nil {
		a.complain("cgroups", err.Error())
	} else {
		a.settle("cgroups")
	}
	if a.record.Cgroups = ""; a.cgroups.root != "" {
		a.record.Cgroups = "inotify"
	}
	if a.cgroups.root != "" && a.cgroups.root != before {
		a.arm() // what was made before the watch
	}
}

// cgroupMade watches one that was made, and tells whether the table is to
// follow: all else that happens in a cgroup is a notice, too.
func (a *Agent) cgroupMade(e fsnotify.Event) bool {
	if !e.Has(fsnotify.Create) {
		return e.Has(fsnotify.Remove)
	}
	if err := a.cgroups.add(e.Name); err != nil {
		a.complain("cgroups", err.Error())
	}
	return true
}

// arm enters the cgroups that were made.
func (a *Agent) arm() {
	if err := a.Loader.ArmCgroups(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.complain("arm", fmt.Sprintf("cgroups that were made are in no class yet: %v", err))
		return
	}
	a.settle("arm")
}
