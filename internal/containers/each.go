// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// question asks a runtime for more of one container.
type question func(context.Context, *Container) error

// errGone is the answer that the container is gone by now.
var errGone = errors.New("there is no such container")

// atOnce is how many questions are open at a time.
const atOnce = 16

// each asks about each one, and leaves out those that are gone.
func each(ctx context.Context, list []Container, ask func(i int) question) ([]Container, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	free, gone := make(chan struct{}, atOnce), map[string]bool{}
	answers := make([]error, len(list))
	for i := range list {
		free <- struct{}{}
		running.Go(func() {
			defer func() { <-free }()
			if answers[i] = ask(i)(ctx, &list[i]); answers[i] != nil && !errors.Is(answers[i], errGone) {
				cancel(answers[i])
			}
		})
	}
	running.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	for i, err := range answers {
		gone[list[i].ID] = err != nil
	}
	return slices.DeleteFunc(list, func(c Container) bool { return gone[c.ID] }), nil
}
