// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

// Query is a packet whose route is asked for. A zero field is not part of
// the question, except UID, which is root's then.
type Query struct {
	Dst       netip.Addr
	Src       netip.Addr // for a local packet, one of the host's own addresses
	Mark      uint32     // fwmark, host byte order
	UID       uint32     // sender; not asked about for a forwarded packet
	Proto     uint8      // TCP, UDP or the family's ICMP; the kernel is asked about no other
	Sport     uint16     // asked about with Proto only
	Dport     uint16     // asked about with Proto only
	Interface string     // the socket is bound to this interface
	From      string     // the packet was received on this interface and is forwarded
}

// Answer is the kernel's own route for a Query.
type Answer struct {
	Table     uint32     `json:"table"`     // where the route was found
	Gateway   netip.Addr `json:"gateway"`   // zero: Dst is on the link
	Interface string     `json:"interface"` // where the packet leaves
	Source    netip.Addr `json:"source"`    // the source address it gets, or has

	// Err is empty, or the errno with which the kernel has no route:
	// ENETUNREACH (unreachable, or no route at all), EHOSTUNREACH,
	// EACCES (prohibit), EINVAL (blackhole), EXDEV (rp_filter). For a Src
	// that is not the host's it is ENETUNREACH or, by older kernels,
	// EINVAL. The other fields are zero then.
	Err string `json:"err"`
}

// refusals are the errnos that are answers.
var refusals = []unix.Errno{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES, unix.EINVAL, unix.EXDEV, unix.EAGAIN}

// Lookup asks the kernel which way it would route a packet. Among several
// weighted next hops the answer is the one it picks for this question. An
// interface that does not exist is an ENODEV.
func (h *Handle) Lookup(q Query) (Answer, error) {
	body, err := h.encodeQuery(q)
	if err != nil {
		return Answer{}, fmt.Errorf("look up %s: %w", q.Dst, err)
	}
	msgs, err := h.change(unix.RTM_GETROUTE, 0, body)
	for _, errno := range refusals {
		if errors.Is(err, errno) {
			return Answer{Err: unix.ErrnoName(errno)}, nil
		}
	}
	if err == nil && len(msgs) != 1 {
		err = fmt.Errorf("%d answers", len(msgs))
	}
	if err != nil {
		return Answer{}, fmt.Errorf("look up %s: %w", q.Dst, err)
	}
	return h.answer(q, msgs[0])
}

func (h *Handle) answer(q Query, msg []byte) (Answer, error) {
	r, err := decodeRoute(msg)
	if err != nil {
		return Answer{}, fmt.Errorf("look up %s: %w", q.Dst, err)
	}
	a := Answer{Table: r.Table, Source: r.Source}
	if !a.Source.IsValid() {
		a.Source = q.Src
	}
	if len(r.hops) == 0 {
		return a, nil
	}
	a.Gateway = r.hops[0].gateway
	if a.Interface, err = h.linkName(r.hops[0].index); err != nil {
		return Answer{}, fmt.Errorf("look up %s: %w", q.Dst, err)
	}
	return a, nil
}

func (h *Handle) encodeQuery(q Query) (message, error) {
	f := plan.FamilyOf(q.Dst)
	dst, src := q.Dst.Unmap(), q.Src.Unmap()
	if !dst.IsValid() || src.IsValid() && plan.FamilyOf(src) != f {
		return nil, fmt.Errorf("source %q is not of the destination's family", q.Src)
	}
	head := unix.RtMsg{Family: number(f), Dst_len: uint8(dst.BitLen()), Flags: unix.RTM_F_LOOKUP_TABLE}
	if src.IsValid() {
		head.Src_len = uint8(src.BitLen())
	}
	m := newMessage(head)
	m.addr(unix.RTA_DST, dst)
	if src.IsValid() {
		m.addr(unix.RTA_SRC, src)
	}
	m.u32(unix.RTA_MARK, q.Mark)
	if q.Proto != 0 {
		m.u8(unix.RTA_IP_PROTO, q.Proto)
		m.be16(unix.RTA_SPORT, q.Sport)
		m.be16(unix.RTA_DPORT, q.Dport)
	}
	return m, h.encodeLinks(&m, q)
}

func (h *Handle) encodeLinks(m *message, q Query) error {
	if q.From == "" {
		m.u32(unix.RTA_UID, q.UID)
	}
	for typ, name := range map[uint16]string{unix.RTA_OIF: q.Interface, unix.RTA_IIF: q.From} {
		if name == "" {
			continue
		}
		index, err := h.linkIndex(name)
		if err != nil {
			return err
		}
		m.u32(typ, uint32(index))
	}
	return nil
}
