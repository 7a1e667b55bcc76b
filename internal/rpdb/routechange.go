// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// AddRoute puts a route at its destination and metric in its table, in the
// place of one of ours that may stand there. If somebody else's stands
// there nothing changes and the error is an ErrForeign. It is an ENODEV if
// an interface does not exist, an ENETDOWN if it is down, and an
// ENETUNREACH or EHOSTUNREACH if the gateway is on none of its networks.
func (h *Handle) AddRoute(r plan.Route) error {
	if err := errors.Join(checkRoute(r), checkHops(r)); err != nil {
		return fmt.Errorf("add route %s: %w", r.Args(), err)
	}
	if err := h.addRoute(r); err != nil {
		return fmt.Errorf("add route %s: %w", r.Args(), err)
	}
	return nil
}

func (h *Handle) addRoute(r plan.Route) error {
	index := make([]int, len(r.Hops))
	for i, hop := range r.Hops {
		var err error
		if index[i], err = h.linkIndex(hop.Interface); err != nil {
			return err
		}
	}
	body := encodeRoute(r, index)
	_, err := h.change(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, body)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	there, err := h.at(r)
	if err != nil {
		return err
	}
	for _, o := range there {
		if o.Protocol != plan.Protocol {
			return fmt.Errorf("%w: %s: give the uplink another table", ErrForeign, o.Args())
		}
	}
	if len(there) == 1 && same(there[0], r) {
		return nil
	}
	_, err = h.change(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK, body)
	return err
}

// DeleteRoute removes the route of ours at r's destination, metric and
// table, whatever its next hops are. None there is no error. Routes of
// another protocol are refused.
func (h *Handle) DeleteRoute(r plan.Route) error {
	if err := checkRoute(r); err != nil {
		return fmt.Errorf("delete route %s: %w", r.Args(), err)
	}
	// To the kernel a deletion with metric 0 means any metric, and one
	// request removes one route: read what is there, and ask that often.
	there, err := h.at(r)
	for _, o := range there {
		if err == nil && o.Protocol == plan.Protocol {
			_, err = h.change(unix.RTM_DELROUTE, unix.NLM_F_ACK, encodeKey(r, unix.RTN_UNSPEC, unix.RT_SCOPE_NOWHERE, 0))
		}
	}
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("delete route %s: %w", r.Args(), err)
	}
	return nil
}

// at are the routes at r's destination and metric in its table.
func (h *Handle) at(r plan.Route) ([]plan.Route, error) {
	routes, err := h.routesOf(r.Family, r.Table)
	if err != nil {
		return nil, err
	}
	var at []plan.Route
	for _, o := range routes {
		if o.Dst == r.Dst && metric(o) == metric(r) {
			at = append(at, o)
		}
	}
	return at, nil
}

// same tells whether two routes are the same to the kernel, a metric left
// out being its default.
func same(a, b plan.Route) bool {
	a.Metric, b.Metric = metric(a), metric(b)
	return a.Equal(b)
}
