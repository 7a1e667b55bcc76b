// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"
	"fmt"
)

// steps are changes that can be undone. The one that fails stops the work;
// then all before it are undone, last first. The first step is the note that
// work is under way: it stays if anything else could not be undone.
type steps struct {
	undo []func() error
	err  error
}

// do makes one change, unless an earlier one failed.
func (s *steps) do(change, undo func() error) {
	if s.err != nil {
		return
	}
	if s.err = change(); s.err == nil {
		s.undo = append(s.undo, undo)
	}
}

// finish returns nil if all went well. Otherwise everything is undone, and
// the error says so, or what could not be.
func (s *steps) finish() error {
	if s.err == nil {
		return nil
	}
	var failed []error
	for n := len(s.undo) - 1; n >= 0; n-- {
		if n > 0 || errors.Join(failed...) == nil {
			failed = append(failed, s.undo[n]())
		}
	}
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("%w; going back failed too: %v: the next `waymark apply` or `waymark rollback` goes back first; `waymark down` removes everything", s.err, err)
	}
	return fmt.Errorf("%w; everything is as it was before", s.err)
}
