// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// ifinfomsg and nhmsg are the sizes of those headers; in both an all-zero
// header asks for everything.
const (
	ifinfomsg = 16
	nhmsg     = 8
)

// members is the size of one entry of a nexthop group (struct nexthop_grp).
const members = 8

// nexthop is a nexthop object: one hop, or the objects of a group.
type nexthop struct {
	id    uint32
	hops  []hop // none in a group or a blackhole
	group []member
}

type member struct {
	id     uint32
	weight int
}

// decodeNexthop reads the body of an RTM_NEWNEXTHOP message.
func decodeNexthop(b []byte) (nexthop, error) {
	if len(b) < nhmsg {
		return nexthop{}, fmt.Errorf("decode nexthop: %d bytes", len(b))
	}
	flags := binary.NativeEndian.Uint32(b[4:])
	a := parse(b[nhmsg:])
	n := nexthop{id: a.u32(unix.NHA_ID)}
	for g := a.value(unix.NHA_GROUP); len(g) >= members; g = g[members:] {
		n.group = append(n.group, member{binary.NativeEndian.Uint32(g), int(g[4]) + 1})
	}
	if a.has(unix.NHA_OIF) && !a.has(unix.NHA_BLACKHOLE) {
		h := newHop(int(a.u32(unix.NHA_OIF)), 1, flags, &attrs{})
		h.gateway = a.addr(unix.NHA_GATEWAY)
		n.hops = []hop{h}
	}
	if a.err != nil {
		return nexthop{}, fmt.Errorf("decode nexthop: %w", a.err)
	}
	return n, nil
}

// nexthops are the hops behind every nexthop object, by id. Groups have no
// groups in them.
func (h *Handle) nexthops() (map[uint32][]hop, error) {
	msgs, err := h.dump(dump{kind: unix.RTM_GETNEXTHOP, answer: unix.RTM_NEWNEXTHOP, body: make(message, nhmsg)})
	if err != nil {
		return nil, err
	}
	hops := make(map[uint32][]hop)
	groups := make(map[uint32][]member)
	for _, m := range msgs {
		n, err := decodeNexthop(m)
		if err != nil {
			return nil, err
		}
		hops[n.id], groups[n.id] = n.hops, n.group
	}
	for id, group := range groups {
		for _, m := range group {
			for _, one := range hops[m.id] {
				one.weight = m.weight
				hops[id] = append(hops[id], one)
			}
		}
	}
	return hops, nil
}
