// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/host"
	"waymark/internal/plan"
)

// TestMovesAndTheClock has the clock jump between two starts of the machine: a
// move is over when its time is, and never lasts longer than was asked for.
func TestMovesAndTheClock(t *testing.T) {
	const asked = 30 * time.Minute
	for name, c := range map[string]struct {
		jump time.Duration // of the clock, from the move to the next start
		left time.Duration // of the move; 0: it is over
	}{
		"no jump":                         {0, asked},
		"ten minutes later":               {10 * time.Minute, 20 * time.Minute},
		"an hour later":                   {time.Hour, 0},
		"a clock that begins in the past": {-20 * 365 * 24 * time.Hour, asked},
		"a clock that is far ahead":       {20 * 365 * 24 * time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l := &Loader{options: Options{StateDir: t.TempDir()}}
			since := time.Now().Add(-c.jump)
			kept := keptMoves{Format: movesFormat, Moves: []keptMove{{
				Override: Override{Override: plan.Override{Subject: "app.slice", To: "bulk"}, Since: since}, Ends: since.Add(asked)}}}
			text, err := json.Marshal(kept)
			if err == nil {
				err = os.WriteFile(l.movesFile(), text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			all, err := l.keptMoves()
			if err != nil || (len(all) > 0) != (c.left > 0) {
				t.Fatalf("in force are %v, %v", all, err)
			}
			for _, o := range all {
				if left := o.Until - host.SinceBoot(); left > c.left || left < c.left-time.Minute {
					t.Errorf("it lasts for %v, want %v", left, c.left)
				}
			}
		})
	}
}

// TestMovesThatAreDamaged has what is no file of moves in its place: none is in
// force, and the error says which file, and what to do. It is kept when there are moves
// to be written in its place, until all is taken down.
func TestMovesThatAreDamaged(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "no JSON": "moves", "cut short": `{"format": 1, "moves": [{"subject": "app.slice"`, "of a later build": `{"format": 7}`, "a list": "[1]",
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			l := &Loader{options: Options{StateDir: dir}, name: "blue"}
			if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(l.movesFile(), []byte(text), 0o600)); err != nil {
				t.Fatal(err)
			}
			all, err := l.keptMoves()
			if len(all) > 0 || err == nil || !strings.Contains(err.Error(), "moves@blue.json") || !strings.Contains(err.Error(), "mend or remove it") {
				t.Errorf("in force are %v, %v", all, err)
			}
			if err := l.keepMoves([]Override{{Override: plan.Override{Subject: "app.slice", To: "bulk"}}}); err != nil {
				t.Fatal(err)
			}
			aside, err := os.ReadFile(l.movesFile() + ".unread")
			if all, broken := l.keptMoves(); len(all) != 1 || errors.Join(err, broken) != nil || string(aside) != text {
				t.Errorf("in force are %v; set aside is %q: %v, %v", all, aside, err, broken)
			}
			if err := l.forgetAllMoves(); err != nil || exists(dir) {
				t.Errorf("%s is left: %v", dir, err)
			}
		})
	}
}

// TestMovesThatAreNoFile has other things than a file in the place of the moves:
// nobody waits for one, and it is in no way.
func TestMovesThatAreNoFile(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a pipe":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a directory": func(path string) error { return os.MkdirAll(path+"/full", 0o700) },
		"a device":    func(path string) error { return os.Symlink("/dev/zero", path) },
		"a socket":    func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			l := &Loader{options: Options{StateDir: t.TempDir()}}
			if err := put(l.movesFile()); err != nil {
				t.Fatal(err)
			}
			if all, err := l.keptMoves(); len(all) > 0 || err == nil || !strings.Contains(err.Error(), "mend or remove it") {
				t.Errorf("in force are %v, %v", all, err)
			}
			if err := l.forgetMoves(); err != nil {
				t.Error(err)
			}
			if err := l.keepMoves([]Override{{Override: plan.Override{Subject: "app.slice", To: "bulk"}}}); err != nil {
				t.Fatal(err)
			}
			if all, err := l.keptMoves(); len(all) != 1 || err != nil {
				t.Errorf("in force are %v, %v", all, err)
			}
		})
	}
}

// TestMovesThatCannotBeWritten takes moves back where nothing can be written any
// more: it fails, unless their time is over, which would keep all that comes later
// from being done.
func TestMovesThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	held := []Override{{Override: plan.Override{Subject: "app.slice", To: "bulk"}}, {Override: plan.Override{Subject: "hour.slice", To: "bulk"}}}
	for _, lapsed := range []bool{false, true} {
		a := &apply{Loader: &Loader{options: Options{StateDir: file}}, survey: &survey{held: held, state: &State{}}, next: &State{Overrides: held[:1]}, lapsed: lapsed}
		a.writeMoves()
		if (a.err == nil) != lapsed {
			t.Errorf("time over %v: %v", lapsed, a.err)
		}
	}
}

// TestNoMovesOnAReadOnlyFileSystem forgets moves where there are none, in an image
// that nothing is written to.
func TestNoMovesOnAReadOnlyFileSystem(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a file system")
	}
	dir := t.TempDir()
	runtime.LockOSThread() // its namespace ends with it
	if err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("none", dir, "tmpfs", unix.MS_RDONLY, "")); err != nil {
		t.Fatal(err)
	}
	l := &Loader{options: Options{StateDir: dir}}
	if err := errors.Join(l.forgetAllMoves(), unix.Unmount(dir, 0)); err != nil {
		t.Error(err)
	}
}
