// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"waymark/internal/host"
)

// The pins go with the machine's memory, and the moves with them. So these are
// kept in a file as well, for the first apply after a start of the machine.

// movesFormat is the number of this form of keptMoves.
const movesFormat = 1

type keptMoves struct {
	Format int        `json:"format"`
	Moves  []keptMove `json:"moves"`
}

// keptMove is an override whose end is a moment by the clock: the time since
// the machine started says nothing after the next start.
type keptMove struct {
	Override
	Ends time.Time `json:"ends,omitzero"`
}

func (l *Loader) movesFile() string { return l.keptFile("moves") }

// keptFile is WHAT.json, or WHAT@NAME.json of a network namespace that has a
// name: after the next start of the machine that is all it has in common with
// the one before.
func (l *Loader) keptFile(what string) string {
	if l.name != "" {
		what += "@" + l.name
	}
	return filepath.Join(l.options.StateDir, what+".json")
}

// readFormat reads such a file, whose format has to be known; fs.ErrNotExist: there
// is none.
func readFormat(file string, kept any, format *int, known int) error {
	text, err := host.ReadOwn(file)
	if err == nil {
		err = json.Unmarshal(text, kept)
	}
	if err == nil && *format != known {
		err = fmt.Errorf("it has format %d and this binary knows %d", *format, known)
	}
	return err
}

// writeFormat writes such a file, and makes its directory if it has to.
func writeFormat(file string, kept any) error {
	text, err := json.MarshalIndent(kept, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o755)
	}
	if err != nil {
		return err
	}
	return host.Replace(file, append(text, '\n'), 0o600)
}

// keepMoves writes the overrides down for the next start of the machine; none
// removes the file. It is there whole or as it was.
func (l *Loader) keepMoves(all []Override) error {
	if l.options.StateDir == "" {
		return nil
	}
	if len(all) == 0 {
		return l.forgetMoves()
	}
	if err := l.moveAside(); err != nil {
		return err
	}
	kept := keptMoves{Format: movesFormat}
	for _, o := range all {
		k := keptMove{Override: o}
		if o.Until != 0 {
			k.Ends = time.Now().Add(o.Left()).UTC().Truncate(time.Second)
		}
		kept.Moves = append(kept.Moves, k)
	}
	if err := writeFormat(l.movesFile(), kept); err != nil {
		return fmt.Errorf("keep the moves for the next start of the machine: %w", err)
	}
	return nil
}

// movesAside is where moves are that could not be read.
func (l *Loader) movesAside() string { return l.movesFile() + ".unread" }

// moveAside gives a file that cannot be read, another build's say, another name.
func (l *Loader) moveAside() error {
	if _, unread := l.keptMoves(); unread == nil {
		return nil
	}
	if err := os.Rename(l.movesFile(), l.movesAside()); err != nil {
		return fmt.Errorf("set aside the moves that cannot be read: %w", err)
	}
	return nil
}

// forgetMoves removes the file, and its directory if nothing else is in it.
func (l *Loader) forgetMoves() error {
	if l.options.StateDir == "" {
		return nil
	}
	_, err := os.Lstat(l.movesFile())
	if err == nil {
		err = unix.Unlink(l.movesFile()) // of none, a file system that is read-only says just that
	}
	// A directory holds no moves.
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.EISDIR) {
		return fmt.Errorf("forget the moves that were kept: remove %s: %w", l.movesFile(), err)
	}
	_ = os.Remove(l.options.StateDir) // it may hold what is others'
	return nil
}

// forgetAllMoves removes those that were set aside as well.
func (l *Loader) forgetAllMoves() error {
	if l.options.StateDir != "" {
		_ = os.Remove(l.movesAside()) // a directory that is not empty is others'
	}
	return l.forgetMoves()
}

// keptMoves are those of before the machine started, that are not over. What
// cannot be read is no reason to leave a policy unapplied: the error says what
// is not in force.
func (l *Loader) keptMoves() (all []Override, err error) {
	if l.options.StateDir == "" {
		return nil, nil
	}
	var kept keptMoves
	err = readFormat(l.movesFile(), &kept, &kept.Format, movesFormat)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the moves kept in %s are not in force: %w: mend or remove it, and move anew", l.movesFile(), err)
	}
	for _, k := range kept.Moves {
		// A clock that is behind (one without a battery, before it is set) makes no move longer than it was.
		if o := k.Override; k.Ends.IsZero() {
			all = append(all, o)
		} else if left := min(time.Until(k.Ends), k.Ends.Sub(o.Since)); left > 0 {
			o.Until = host.SinceBoot() + left
			all = append(all, o)
		}
	}
	return slices.Clip(all), nil
}
