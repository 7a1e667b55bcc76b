// SPDX-License-Identifier: Apache-2.0

package loader

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"waymark/internal/datapath"
	"waymark/internal/host"
)

// How often Wait looks whether somebody changed the state, and how long it
// leaves alone what could not be carried out.
const (
	waitLook  = 200 * time.Millisecond
	waitAgain = 5 * time.Second
)

// Wait sleeps until the state's next deadline and carries out what is due,
// until there is no deadline any more. What fails is tried again. renew is called
// before the state is read, and does not return if there is a binary to do it better.
func (l *Loader) Wait(ctx context.Context, renew func()) error {
	for ctx.Err() == nil {
		renew()
		dir, err := l.dir()
		if err != nil {
			return err
		}
		seen := datapath.StateVersion(dir)
		state, err := l.State()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		at, ok := state.deadline()
		if !ok {
			return nil
		}
		if host.SinceBoot() < at {
			l.sleep(ctx, dir, seen, at)
			continue
		}
		if err := l.carryOut(); err != nil {
			l.sleep(ctx, dir, seen, host.SinceBoot()+waitAgain)
		}
	}
	return nil
}

func (l *Loader) carryOut() error {
	held, err := l.begin()
	if err == nil {
		held.release()
	}
	return err
}

// sleep ends at a time since boot, or when somebody changes the state.
func (l *Loader) sleep(ctx context.Context, dir string, seen uint64, until time.Duration) {
	for datapath.StateVersion(dir) == seen {
		left := until - host.SinceBoot()
		if left <= 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(left, waitLook)):
		}
	}
}
