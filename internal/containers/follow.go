// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"sync/atomic"
	"time"
)

// pause is between two attempts to listen to a runtime that is not there.
const pause = time.Second

// Follow watches the runtime at a socket until ctx ends, whether it is there
// or comes later, and calls changed when it went, too;
// perhaps from several goroutines at once.
func Follow(ctx context.Context, socket string, changed func()) {
	for ctx.Err() == nil {
		var heard atomic.Bool
		_ = Runtime{socket}.Watch(ctx, func() { heard.Store(true); changed() })
		if heard.Load() && ctx.Err() == nil {
			changed()
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}
