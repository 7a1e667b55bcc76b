// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// ipv6Metric is what the kernel gives an IPv6 route added without a metric.
const ipv6Metric = 1024

// metric is a route's metric as the kernel holds it.
func metric(r plan.Route) uint32 {
	if r.Family == plan.IPv6 && r.Metric == 0 {
		return ipv6Metric
	}
	return r.Metric
}

// encodeKey is the body of a request about the route of r's protocol at its
// destination, metric and table. A deletion takes no more, with type 0 and
// scope RT_SCOPE_NOWHERE: any type, any scope.
func encodeKey(r plan.Route, kind, scope uint8, flags uint32) message {
	m := newMessage(unix.RtMsg{
		Family:   number(r.Family),
		Dst_len:  uint8(r.Dst.Bits()),
		Protocol: r.Protocol,
		Scope:    scope,
		Type:     kind,
		Flags:    flags,
	})
	m.u32(unix.RTA_TABLE, r.Table)
	m.u32(unix.RTA_PRIORITY, metric(r))
	if !r.IsDefault() {
		m.addr(unix.RTA_DST, r.Dst.Addr())
	}
	return m
}

// encodeRoute is the body of an RTM_NEWROUTE for a route that checkRoute
// has passed; index holds the ifindex of each hop in turn.
func encodeRoute(r plan.Route, index []int) message {
	scope := uint8(unix.RT_SCOPE_UNIVERSE)
	if r.Family == plan.IPv4 && !hasGateway(r) {
		scope = unix.RT_SCOPE_LINK
	}
	var flags uint32
	if len(r.Hops) == 1 {
		flags = hopFlags(r.Hops[0])
	}
	m := encodeKey(r, unix.RTN_UNICAST, scope, flags)
	if r.Source.IsValid() {
		m.addr(unix.RTA_PREFSRC, r.Source)
	}
	if len(r.Hops) == 1 {
		m.u32(unix.RTA_OIF, uint32(index[0]))
		m.gateway(r.Family, r.Hops[0].Gateway)
		return m
	}
	var hops message
	for i, h := range r.Hops {
		hops = append(hops, encodeHop(r.Family, h, index[i])...)
	}
	m.attr(unix.RTA_MULTIPATH, hops)
	return m
}

// encodeHop is one struct rtnexthop with its attributes.
func encodeHop(f plan.Family, h plan.NextHop, index int) message {
	m := message{0, 0, uint8(hopFlags(h)), uint8(h.Weight - 1)}
	m = binary.NativeEndian.AppendUint32(m, uint32(index))
	m.gateway(f, h.Gateway)
	binary.NativeEndian.PutUint16(m, uint16(len(m)))
	return m
}

func (m *message) gateway(f plan.Family, gw netip.Addr) {
	switch {
	case !gw.IsValid():
	case f == plan.IPv4 && gw.Is6():
		via := binary.NativeEndian.AppendUint16(nil, unix.AF_INET6)
		m.attr(unix.RTA_VIA, append(via, gw.AsSlice()...))
	default:
		m.addr(unix.RTA_GATEWAY, gw)
	}
}

func hopFlags(h plan.NextHop) uint32 {
	if h.OnLink {
		return unix.RTNH_F_ONLINK
	}
	return 0
}

func hasGateway(r plan.Route) bool {
	for _, h := range r.Hops {
		if h.Gateway.IsValid() {
			return true
		}
	}
	return false
}
