// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/host"
	"waymark/loader"
)

// runDir holds, for each network namespace with an agent, a file that the
// agent has locked for as long as it lives, and what it says of itself. That
// stays for the next one to go on with, as long as anything is applied.
const runDir = "/run/waymark"

const lockSuffix, recordSuffix = ".lock", ".json"

// running is the error of a second agent in one network namespace.
type running struct{ Record *Record } // of the first; nil if it has not said anything yet

func (r *running) Error() string {
	if r.Record == nil {
		return "an agent runs already in this network namespace: stop that one first"
	}
	return fmt.Sprintf("an agent runs already in this network namespace: process %d, since %s: stop that one first",
		r.Record.PID, r.Record.Since.Format("2006-01-02 15:04:05 MST"))
}

// lock is the right to be a network namespace's agent.
type lock struct {
	file   *os.File
	base   string // path without suffix
	loader *loader.Loader
}

func basePath(netns uint64) string { return filepath.Join(runDir, fmt.Sprint(netns)) }

// takeLock takes it, or says in a *running who has it.
func takeLock(l *loader.Loader) (*lock, error) {
	netns := l.Netns()
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return nil, fmt.Errorf("make the run directory: %w", err)
	}
	sweepRuns(l)
	file, err := lockFile(basePath(netns) + lockSuffix)
	for range 20 { // somebody who only looks holds it for a moment
		if file != nil || err != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
		file, err = lockFile(basePath(netns) + lockSuffix)
	}
	if err != nil {
		return nil, err
	}
	if file == nil {
		r, _ := Read(netns)
		return nil, &running{r}
	}
	return &lock{file, basePath(netns), l}, nil
}

// lockFile makes and locks a file; nil if somebody has it locked.
func lockFile(path string) (*os.File, error) {
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			file.Close()
			return nil, nil
		}
		if err != nil {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		mine, mineErr := file.Stat()
		now, nowErr := os.Stat(path)
		if mineErr == nil && nowErr == nil && os.SameFile(mine, now) {
			return file, nil
		}
		file.Close() // its last holder removed it in between
	}
}

// release gives it back.
func (k *lock) release() {
	if !k.loader.AppliedIn(k.loader.Netns()) {
		_ = os.Remove(k.base + recordSuffix)
	}
	if k.kept() {
		_ = os.Remove(k.base + lockSuffix)
	}
	k.file.Close()
	_ = os.Remove(runDir) // unless there are files in it
}

// before is what the agent before this one said of itself; nil if there was none.
func (k *lock) before() *Record {
	r, _ := readRecord(k.base)
	return r
}

// kept tells whether its file is where others look for it.
func (k *lock) kept() bool {
	mine, err := k.file.Stat()
	now, nowErr := os.Stat(k.base + lockSuffix)
	return err == nil && nowErr == nil && os.SameFile(mine, now)
}

// keep takes it again where somebody emptied the run directory: who looks for the
// agent would find none, and another could begin beside it.
func (k *lock) keep() error {
	if k.kept() {
		return nil
	}
	fresh, err := takeLock(k.loader)
	if err != nil {
		return fmt.Errorf("keep the agent's lock: %w", err)
	}
	k.file.Close()
	k.file = fresh.file
	return nil
}

// write says something of the agent, by one rename.
func (k *lock) write(r *Record) error {
	if err := k.keep(); err != nil {
		return err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	fresh := k.base + ".new"
	_ = os.Remove(fresh) // whatever is there in its place
	if err := os.WriteFile(fresh, text, 0o644); err != nil {
		return fmt.Errorf("keep the agent's record: %w", err)
	}
	return os.Rename(fresh, k.base+recordSuffix)
}

// Read is what the agent of a network namespace says of itself; nil when
// none runs.
func Read(netns uint64) (*Record, error) {
	if !locked(basePath(netns) + lockSuffix) {
		return nil, nil
	}
	return readRecord(basePath(netns))
}

func readRecord(base string) (*Record, error) {
	text, err := host.ReadOwn(base + recordSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the agent's record: %w", err)
	}
	var r Record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("read the agent's record: %w", err)
	}
	return &r, nil
}

func locked(path string) bool {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe in its place would be waited for
	if err != nil {
		return false
	}
	defer file.Close()
	return errors.Is(unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// sweepRuns removes what agents left that are no more, where nothing is applied any more.
func sweepRuns(l *loader.Loader) {
	all, _ := filepath.Glob(filepath.Join(runDir, "*"+lockSuffix))
	for _, path := range all {
		if !locked(path) {
			_ = os.Remove(path)
		}
	}
	all, _ = filepath.Glob(filepath.Join(runDir, "*"+recordSuffix))
	for _, path := range all {
		base := strings.TrimSuffix(path, recordSuffix)
		netns, err := strconv.ParseUint(filepath.Base(base), 10, 64)
		if err == nil && !l.AppliedIn(netns) && !locked(base+lockSuffix) {
			_ = os.Remove(path)
		}
	}
}

// Forget removes what the last agent of a network namespace left for the next, once
// nothing is applied any more.
func Forget(l *loader.Loader) {
	if _, err := os.Stat(runDir); err == nil {
		sweepRuns(l)
		_ = os.Remove(runDir)
	}
}
