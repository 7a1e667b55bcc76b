// SPDX-License-Identifier: Apache-2.0

package rpdb

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"waymark/internal/plan"
)

const attributeHeader = 4

// flagBits are NLA_F_NESTED and NLA_F_NET_BYTEORDER, no part of a type.
const flagBits = 0xc000

// message is the body of a netlink request: a header and attributes.
type message []byte

// newMessage starts a message with a header. struct fib_rule_hdr has the
// layout of struct rtmsg; its action is where rtmsg has the type.
func newMessage(h unix.RtMsg) message {
	m := message{h.Family, h.Dst_len, h.Src_len, h.Tos, h.Table, h.Protocol, h.Scope, h.Type}
	return binary.NativeEndian.AppendUint32(m, h.Flags)
}

func (m *message) attr(typ uint16, value []byte) {
	b := binary.NativeEndian.AppendUint16(*m, uint16(attributeHeader+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, typ), value...)
	*m = append(b, make([]byte, align(len(value))-len(value))...)
}

func (m *message) u8(typ uint16, v uint8) { m.attr(typ, []byte{v}) }

func (m *message) u32(typ uint16, v uint32) {
	m.attr(typ, binary.NativeEndian.AppendUint32(nil, v))
}

func (m *message) be16(typ uint16, v uint16) {
	m.attr(typ, binary.BigEndian.AppendUint16(nil, v))
}

func (m *message) addr(typ uint16, a netip.Addr) { m.attr(typ, a.AsSlice()) }

func (m *message) text(typ uint16, s string) { m.attr(typ, append([]byte(s), 0)) }

func align(n int) int { return (n + 3) &^ 3 }

// attrs are a message's attributes, of which the last of a type counts. The first
// one that is too short for what is asked of it leaves its mark in err. They are a
// few, and of a hundred thousand messages: a map would take longer than all else.
type attrs struct {
	all []attribute
	err error
}

type attribute struct {
	typ   uint16
	value []byte
}

// usualAttributes are as many as most messages have.
const usualAttributes = 12

func parse(b []byte) attrs {
	a := attrs{all: make([]attribute, 0, usualAttributes)}
	for len(b) > 0 {
		if len(b) < attributeHeader {
			return attrs{err: fmt.Errorf("%d bytes after the last attribute", len(b))}
		}
		n := int(binary.NativeEndian.Uint16(b))
		if n < attributeHeader || n > len(b) {
			return attrs{err: fmt.Errorf("attribute of length %d in %d bytes", n, len(b))}
		}
		a.all = append(a.all, attribute{binary.NativeEndian.Uint16(b[2:]) &^ flagBits, b[attributeHeader:n]})
		b = b[min(align(n), len(b)):]
	}
	return a
}

// value is that of a type; nil if there is none, and not if it is empty.
func (a *attrs) value(typ uint16) []byte {
	for _, attr := range slices.Backward(a.all) {
		if attr.typ == typ {
			return attr.value
		}
	}
	return nil
}

// types are those that there are, lowest first.
func (a *attrs) types() (all []uint16) {
	for _, attr := range a.all {
		all = append(all, attr.typ)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (a *attrs) has(typ uint16) bool { return a.value(typ) != nil }

// bytes is the attribute's first n bytes, zeros if it is absent.
func (a *attrs) bytes(typ uint16, n int) []byte {
	v := a.value(typ)
	if v != nil && len(v) >= n {
		return v[:n]
	}
	if v != nil && a.err == nil {
		a.err = fmt.Errorf("attribute %d has %d bytes, not %d", typ, len(v), n)
	}
	return make([]byte, n)
}

func (a *attrs) u8(typ uint16) uint8   { return a.bytes(typ, 1)[0] }
func (a *attrs) u16(typ uint16) uint16 { return binary.NativeEndian.Uint16(a.bytes(typ, 2)) }
func (a *attrs) u32(typ uint16) uint32 { return binary.NativeEndian.Uint32(a.bytes(typ, 4)) }

// text is the attribute up to its terminating zero.
func (a *attrs) text(typ uint16) string { return unix.ByteSliceToString(a.value(typ)) }

// addr is the attribute as an address, zero if absent.
func (a *attrs) addr(typ uint16) netip.Addr {
	v := a.value(typ)
	addr, ok := netip.AddrFromSlice(v)
	if v != nil && !ok && a.err == nil {
		a.err = fmt.Errorf("attribute %d is an address of %d bytes", typ, len(v))
	}
	return addr
}

// prefix is the attribute and a length, which is not 0, as a prefix.
func (a *attrs) prefix(typ uint16, bits uint8) netip.Prefix {
	p := netip.PrefixFrom(a.addr(typ), int(bits))
	if !p.IsValid() && a.err == nil {
		a.err = fmt.Errorf("prefix length %d on attribute %d", bits, typ)
	}
	return p
}

// The kernel's number of a family, and back; 0 for any other.
func number(f plan.Family) uint8 {
	if f == plan.IPv4 {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func family(number uint8) plan.Family {
	switch number {
	case unix.AF_INET:
		return plan.IPv4
	case unix.AF_INET6:
		return plan.IPv6
	}
	return 0
}
