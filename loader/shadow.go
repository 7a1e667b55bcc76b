// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"errors"

	"waymark/internal/datapath"
)

// ErrOtherBuild says that the programs that are attached are another
// waymark's, whose tables this one does not know.
var ErrOtherBuild = errors.New("the programs that are attached are of another build: `waymark apply` with this binary brings its own")

// Shadow is the programs that are attached, once more, for the sockets of
// another network namespace. They answer by the tables in force.
type Shadow struct {
	*datapath.Shadow
	instance *datapath.Instance
}

// Shadow is that of what is applied, for the network namespace with a cookie.
// Errors are ErrOtherBuild, an fs.ErrNotExist when nothing is applied, or the
// kernel's.
func (l *Loader) Shadow(netnsCookie uint64) (*Shadow, error) {
	state, err := l.State()
	if err != nil {
		return nil, err
	}
	if !state.current() {
		return nil, ErrOtherBuild
	}
	dir, err := l.dir()
	if err != nil {
		return nil, err
	}
	instance, err := state.open(dir)
	if err != nil {
		return nil, err
	}
	s, err := instance.Shadow(netnsCookie)
	if err != nil {
		instance.Close()
		return nil, err
	}
	return &Shadow{s, instance}, nil
}

// Close ends the programs, and lets go of what is applied.
func (s *Shadow) Close() {
	s.Shadow.Close()
	s.instance.Close()
}
