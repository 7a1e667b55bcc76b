// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/cilium/ebpf/link"
)

// bare is a host with nothing.
type bare struct{}

func (bare) start(context.Context, *arm) error                { return nil }
func (bare) apply(context.Context, *arm, policy, paths) error { return nil }
func (bare) end(*arm) error                                   { return nil }

// emptyProgram is a host with a tcx program on its way out that does nothing.
type emptyProgram struct {
	bare
	link link.Link
}

func (e *emptyProgram) start(_ context.Context, a *arm) (err error) {
	e.link, err = attach(a.lab.Host, a.lab.Uplink(0).Interface, empty)
	return err
}

func (e *emptyProgram) end(*arm) error {
	if e.link == nil {
		return nil
	}
	return e.link.Close()
}
