// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// files hears of changes around the policy files. It watches directories, for
// editors and configuration tools put another file in the place of the old.
type files struct {
	watcher *fsnotify.Watcher
	paths   []string
}

func watchFiles(paths []string) (*files, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch the policy files: %w", err)
	}
	f := &files{w, paths}
	f.again()
	return f, nil
}

func (f *files) close() { f.watcher.Close() }

// changed has an element for every change in a watched directory, of policy
// files or others.
func (f *files) changed() <-chan fsnotify.Event { return f.watcher.Events }

// again watches the directories that there are by now. One that does not
// exist is watched from above until it does.
func (f *files) again() {
	for _, path := range f.paths {
		path, err := filepath.Abs(path)
		if err != nil {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			_ = f.watcher.Add(path)
		}
		for dir := filepath.Dir(path); f.watcher.Add(dir) != nil && dir != filepath.Dir(dir); {
			dir = filepath.Dir(dir)
		}
	}
}
