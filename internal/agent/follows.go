// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"slices"
	"sync"

	"waymark/internal/containers"
)

// follows are the container runtimes that are listened to.
type follows struct {
	sockets []string
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// only listens to the runtimes at these sockets and no others; heard is called
// when the containers of one changed.
func (f *follows) only(sockets []string, heard func()) {
	if slices.Equal(f.sockets, sockets) {
		return
	}
	f.stop()
	var ctx context.Context
	ctx, f.cancel = context.WithCancel(context.Background())
	f.sockets = slices.Clone(sockets)
	for _, socket := range sockets {
		f.running.Go(func() { containers.Follow(ctx, socket, heard) })
	}
}

func (f *follows) stop() {
	if f.cancel != nil {
		f.cancel()
	}
	f.running.Wait()
}
