// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"waymark/internal/lab"
)

// lookupHost is a host with a policy of so many classes.
type lookupHost struct {
	lab      *lab.Lab
	instance *instance
	held     holding
	lookups  []lookup
}

func newLookupHost(ctx context.Context, n int) (h *lookupHost, err error) {
	h = &lookupHost{}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if h.lab, err = lab.New(lab.Options{Uplinks: lookupRoutes}); err != nil {
		return h, err
	}
	if h.instance, err = newInstance(h.lab); err != nil {
		return h, err
	}
	a, err := h.instance.apply(ctx, manyClasses(uplinksOf(h.lab), n))
	if err != nil {
		return h, err
	}
	if h.held, err = h.instance.held(); err != nil {
		return h, err
	}
	// Without it the helper refuses to look routes up for a packet of lo's.
	if err := h.lab.Host.Sysctl("net.ipv4.conf.lo.forwarding", "1"); err != nil {
		return h, err
	}
	return h, h.addLookups(n, a.Marks)
}

// addLookups adds one for the last class of every route, and where there is
// but one class, the same again.
func (h *lookupHost) addLookups(n int, marks map[string]uint32) error {
	last := []int{0, 0}
	if n > 1 {
		last = nil
		for route := range lookupRoutes {
			last = append(last, (route+1)*n/lookupRoutes-1)
		}
	}
	for _, class := range last {
		p, err := newLookup(h.lab, marks[className(class)])
		if err != nil {
			return err
		}
		h.lookups = append(h.lookups, lookup{Classes: n, Class: className(class), probe: p})
	}
	return nil
}

func (h *lookupHost) close() error {
	for _, l := range h.lookups {
		l.probe.close()
	}
	err := h.instance.close()
	if h.lab != nil {
		err = errors.Join(err, h.lab.Close())
	}
	return err
}
