// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// Routes returns the routes of every table but the local one, both
// families, in the kernel's order, IPv4 first. It is all routes or an
// error, never a part; a routing daemon's table may hold a million, and if
// that one does not stop changing it, what it took away meanwhile may still
// be among them.
//
// Metric is the kernel's own value: 1024 where an IPv6 route was
// added without one. An IPv6 route for some sources only reads like one
// for all.
func (h *Handle) Routes() ([]plan.Route, error) {
	var all []plan.Route
	for _, f := range plan.Families {
		routes, err := h.routesOf(f, 0)
		if err != nil {
			return nil, fmt.Errorf("read %s routes: %w", f, err)
		}
		all = append(slices.Grow(all, len(routes)), routes...)
	}
	return all, nil
}

// routesOf reads one family's routes of a table; 0: of every table.
func (h *Handle) routesOf(f plan.Family, table uint32) ([]plan.Route, error) {
	msgs, err := h.dump(routeDump(f, table))
	if err != nil {
		return nil, err
	}
	find := newFinder(h)
	routes := make([]plan.Route, 0, len(msgs))
	for _, m := range msgs {
		r, err := decodeRoute(m)
		if err != nil {
			return nil, err
		}
		if r.Family != f || !wanted(r, table) {
			continue
		}
		if r.Hops, r.Down, err = find.hops(r); err != nil {
			return nil, err
		}
		if len(r.Hops) == 0 && r.kind == unix.RTN_UNICAST {
			continue // its interfaces went since, and it with them
		}
		r.Refuses = refusing[r.kind]
		routes = append(routes, r.Route)
	}
	return routes, nil
}

func routeDump(f plan.Family, table uint32) dump {
	d := dump{kind: unix.RTM_GETROUTE, answer: unix.RTM_NEWROUTE, body: newMessage(unix.RtMsg{Family: number(f)})}
	if table != 0 {
		d.body.u32(unix.RTA_TABLE, table)
	}
	if f == plan.IPv6 {
		d.group, d.name = unix.RTNLGRP_IPV6_ROUTE, routeName
		d.matters = func(msg []byte) bool {
			r, err := decodeRoute(msg)
			return err != nil || wanted(r, table)
		}
	}
	return d
}

// routeName is all of a route that stays as it is while it does.
func routeName(msg []byte) string {
	if len(msg) < unix.SizeofRtMsg {
		return string(msg)
	}
	a, name := parse(msg[unix.SizeofRtMsg:]), slices.Clone(msg[:unix.SizeofRtMsg-4]) // the flags are last
	for _, typ := range []uint16{unix.RTA_TABLE, unix.RTA_DST, unix.RTA_PRIORITY, unix.RTA_OIF, unix.RTA_GATEWAY} {
		name = append(name, a.value(typ)...)
	}
	return string(name)
}

// refusing are the types of routes that send nothing.
var refusing = map[uint8]plan.Action{unix.RTN_UNREACHABLE: plan.Unreachable, unix.RTN_PROHIBIT: plan.Prohibit,
	unix.RTN_BLACKHOLE: plan.Blackhole, unix.RTN_THROW: plan.Throw}

func wanted(r route, table uint32) bool {
	return (r.kind == unix.RTN_UNICAST || refusing[r.kind] != "") && !r.clone && r.Table != plan.TableLocal && (table == 0 || r.Table == table)
}

// finder turns the numbers in routes into names, asking for each once.
type finder struct {
	handle  *Handle
	names   map[int]string
	objects map[uint32][]hop // nil until the first is needed
}

func newFinder(h *Handle) *finder { return &finder{handle: h, names: make(map[int]string)} }

// hops are a route's next hops, and whether every one of them is down. A
// hop whose interface went away since has gone with it.
func (f *finder) hops(r route) ([]plan.NextHop, bool, error) {
	if r.kind != unix.RTN_UNICAST {
		return nil, false, nil
	}
	hops := r.hops
	if r.object != 0 && len(hops) == 0 {
		// net.ipv4.nexthop_compat_mode=0 leaves the hops out of the route.
		var err error
		if hops, err = f.object(r.object); err != nil {
			return nil, false, err
		}
	}
	var out []plan.NextHop
	for _, h := range hops {
		name, err := f.name(h.index)
		if err != nil {
			return nil, false, err
		}
		if name != "" {
			out = append(out, plan.NextHop{Gateway: h.gateway, Interface: name, Weight: h.weight, OnLink: h.onlink})
		}
	}
	if len(out) == 1 {
		out[0].Weight = 0
	}
	return out, allDown(hops), nil
}

func (f *finder) name(index int) (string, error) {
	if name, known := f.names[index]; known {
		return name, nil
	}
	name, err := f.handle.linkName(index)
	if err == nil {
		f.names[index] = name
	}
	return name, err
}

func (f *finder) object(id uint32) ([]hop, error) {
	if f.objects == nil {
		var err error
		if f.objects, err = f.handle.nexthops(); err != nil {
			return nil, err
		}
	}
	return f.objects[id], nil
}
