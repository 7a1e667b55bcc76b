// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"waymark/classes"
)

// Files that were tried are still there when their trial is not, for the agent
// that begins next: after a start of the machine, say, by who was cut off. So what
// was tried is written down, with the policy before it, until it is confirmed or
// somebody applies a policy to stay.

// triedFormat is the number of this form of tried.
const triedFormat = 1

type tried struct {
	Format int            `json:"format"`
	Digest string         `json:"digest"` // of the texts of what was tried, wherever they lay
	Before []classes.File `json:"before"` // the policy to go back to; none: to nothing
}

func (l *Loader) triedFile() string { return l.keptFile("tried") }

// Unconfirmed tells whether a policy is the one that was tried last, and that
// nobody confirmed; before is what it goes back to, nil for nothing.
func (l *Loader) Unconfirmed(policy *classes.Policy) (is bool, before *classes.Policy, err error) {
	if l.options.StateDir == "" {
		return false, nil, nil
	}
	var t tried
	err = readFormat(l.triedFile(), &t, &t.Format, triedFormat)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil, nil
	}
	if is = err == nil && t.Digest == textsOf(policy.Files()); is && len(t.Before) > 0 {
		before, err = classes.ParseFiles(t.Before...)
	}
	if err != nil {
		return is, nil, fmt.Errorf("read what was tried from %s: %w: remove it, and see that the policy is the one you want", l.triedFile(), err)
	}
	return is, before, nil
}

// Resume is Apply of the policy before one that was not confirmed, after a start of
// the machine.
func (l *Loader) Resume(before *classes.Policy) (*Applied, error) {
	return l.applyWanted(wanted{policy: before, resumes: true})
}

// writeTried keeps what is tried, or forgets it for a policy that is to stay.
func (a *apply) writeTried() {
	switch {
	case a.options.StateDir == "" || a.resumes || a.state != nil && a.next.Number == a.state.Number:
	case a.next.Trial != nil:
		a.do(a.keepTried, a.forgetTried)
	default:
		a.do(a.forgetTried, func() error { return nil })
	}
}

func (a *apply) keepTried() error {
	files, err := a.next.text.files()
	if err != nil {
		return err
	}
	t := tried{Format: triedFormat, Digest: textsOf(files), Before: []classes.File{}}
	if a.state != nil {
		if t.Before, err = a.state.text.files(); err != nil {
			return err
		}
	}
	if err := writeFormat(a.triedFile(), t); err != nil {
		return fmt.Errorf("keep what is tried for the next start of the machine: %w", err)
	}
	return nil
}

// forgetTried removes the file, and its directory if nothing else is in it.
func (l *Loader) forgetTried() error {
	if l.options.StateDir == "" || !exists(l.triedFile()) {
		return nil
	}
	if err := unix.Unlink(l.triedFile()); err != nil {
		return fmt.Errorf("forget what was tried: remove %s: %w", l.triedFile(), err)
	}
	_ = os.Remove(l.options.StateDir)
	return nil
}

// textsOf is the digest of the texts of files.
func textsOf(files []classes.File) string {
	texts := make([]classes.File, len(files))
	for n, f := range files {
		texts[n].Text = f.Text
	}
	return digest(texts)
}
