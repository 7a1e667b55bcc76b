// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"fmt"
	"io/fs"

	"waymark/internal/datapath"
)

// A network namespace that ends without `down` leaves its pins, and its
// inode's number is given to another one later. Cookies are never given
// twice: by its cookie a state is known to be of a namespace that is gone.

// ours is a state that was read, if it is of this network namespace. The
// error is an fs.ErrNotExist if it is of one that is gone.
func (l *Loader) ours(s *State, err error) (*State, error) {
	if err == nil && l.cookie != 0 && s.Settings.NetnsCookie != l.cookie {
		return nil, fmt.Errorf("read the state: it is of a network namespace that is gone: %w", fs.ErrNotExist)
	}
	return s, err
}

// bury removes what a namespace that is gone left in our place. Its rules and
// sysctls went with it. The lock is held.
func (l *Loader) bury() error {
	dir, err := l.dir()
	if err != nil {
		return err
	}
	for _, place := range []string{dir, dir + newSuffix, dir + oldSuffix, dir + lostSuffix} {
		found, err := l.readState(place)
		if err != nil {
			continue // it is not there, or says nothing: others see to that
		}
		if mine, _ := l.ours(found, nil); mine != nil {
			continue
		}
		if err := datapath.Remove(place); err != nil {
			return fmt.Errorf("remove what a network namespace that is gone left in %s: %w", place, err)
		}
	}
	return nil
}
