// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// rtaNexthopID is RTA_NH_ID, which x/sys/unix lacks.
const rtaNexthopID = 30

// unusable are the flags of a next hop that is dead or without carrier.
const unusable = unix.RTNH_F_DEAD | unix.RTNH_F_LINKDOWN

// route is a route as the kernel words it: interfaces by index, next hops
// possibly by the id of a nexthop object.
type route struct {
	plan.Route        // without Hops and Down
	hops       []hop  // as listed in the message
	object     uint32 // nexthop object; 0: none
	kind       uint8  // RTN_UNICAST and so on
	clone      bool   // a cache entry, no route of a table
}

type hop struct {
	index   int // ifindex
	gateway netip.Addr
	weight  int // 1 and up
	onlink  bool
	down    bool
}

// decodeRoute reads the body of an RTM_NEWROUTE message.
func decodeRoute(b []byte) (route, error) {
	var head unix.RtMsg
	n, err := binary.Decode(b, binary.NativeEndian, &head)
	if err != nil {
		return route{}, fmt.Errorf("decode route: %w", err)
	}
	a := parse(b[n:])
	r := route{
		Route: plan.Route{
			Family:   family(head.Family),
			Table:    decodeTable(head, &a),
			Source:   a.addr(unix.RTA_PREFSRC),
			Metric:   a.u32(unix.RTA_PRIORITY),
			Protocol: head.Protocol,
		},
		object: a.u32(rtaNexthopID),
		kind:   head.Type,
		clone:  head.Flags&unix.RTM_F_CLONED != 0,
		hops:   decodeHops(head, &a),
	}
	r.Dst = r.Family.Default()
	if head.Dst_len > 0 {
		r.Dst = a.prefix(unix.RTA_DST, head.Dst_len)
	}
	if a.err != nil {
		return route{}, fmt.Errorf("decode route: %w", a.err)
	}
	return r, nil
}

func decodeHops(head unix.RtMsg, a *attrs) []hop {
	if a.has(unix.RTA_MULTIPATH) {
		return decodeMultipath(a.value(unix.RTA_MULTIPATH), a)
	}
	if !a.has(unix.RTA_OIF) {
		return nil
	}
	return []hop{newHop(int(a.u32(unix.RTA_OIF)), 1, head.Flags, a)}
}

// decodeMultipath reads a row of struct rtnexthop, each with attributes of
// its own; what is wrong with one is left in the outer attributes' err.
func decodeMultipath(b []byte, outer *attrs) []hop {
	var hops []hop
	for len(b) > 0 && outer.err == nil {
		var head unix.RtNexthop
		n, err := binary.Decode(b, binary.NativeEndian, &head)
		if err != nil || int(head.Len) < n || int(head.Len) > len(b) {
			outer.err = fmt.Errorf("next hop of length %d in %d bytes", head.Len, len(b))
			return nil
		}
		a := parse(b[n:head.Len])
		hops = append(hops, newHop(int(head.Ifindex), int(head.Hops)+1, uint32(head.Flags), &a))
		outer.err = a.err
		b = b[min(align(int(head.Len)), len(b)):]
	}
	return hops
}

func newHop(index, weight int, flags uint32, a *attrs) hop {
	h := hop{
		index:   index,
		weight:  weight,
		onlink:  flags&unix.RTNH_F_ONLINK != 0,
		down:    flags&unusable != 0,
		gateway: a.addr(unix.RTA_GATEWAY),
	}
	// An IPv4 route by an IPv6 gateway: struct rtvia, a family and an address.
	if via := a.value(unix.RTA_VIA); len(via) > 2 {
		h.gateway, _ = netip.AddrFromSlice(via[2:])
	}
	return h
}

func allDown(hops []hop) bool {
	for _, h := range hops {
		if !h.down {
			return false
		}
	}
	return len(hops) > 0
}
