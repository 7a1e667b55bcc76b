// SPDX-License-Identifier: Apache-2.0

package test

import (
	order "encoding/binary"
	"net/netip"

	"waymark/internal/lab"

	"golang.org/x/sys/unix"
)

// datagram is a UDP datagram to be made by hand.
type datagram struct {
	from, to     netip.Addr
	sport, dport uint16
	options      []byte // of IPv4, or IPv6 extension headers whose first is a hop-by-hop and whose last says UDP
}

// bytes is the datagram from its IP header on.
func (d datagram) bytes() []byte {
	udp := order.BigEndian.AppendUint16(nil, d.sport)
	udp = order.BigEndian.AppendUint16(udp, d.dport)
	udp = append(udp, 0, 12, 0, 0, 'w', 'a', 'y', 's')
	order.BigEndian.PutUint16(udp[6:], lab.Checksum(d.from.AsSlice(), d.to.AsSlice(), []byte{0, unix.IPPROTO_UDP, 0, 12}, udp))
	return inIP(d.from, d.to, unix.IPPROTO_UDP, d.options, udp)
}

// segment is an ACK of TCP, from its IP header on, of no data.
func segment(from, to netip.AddrPort) []byte {
	tcp := order.BigEndian.AppendUint16(nil, from.Port())
	tcp = order.BigEndian.AppendUint16(tcp, to.Port())
	tcp = append(tcp, 0, 0, 0, 1, 0, 0, 0, 2, 5<<4, 16, 1, 0, 0, 0, 0, 0)
	order.BigEndian.PutUint16(tcp[16:], lab.Checksum(from.Addr().AsSlice(), to.Addr().AsSlice(), []byte{0, unix.IPPROTO_TCP, 0, 20}, tcp))
	return inIP(from.Addr(), to.Addr(), unix.IPPROTO_TCP, nil, tcp)
}

// inIP puts an IP header, with its options, in front of what a protocol sends.
func inIP(from, to netip.Addr, protocol byte, options, payload []byte) []byte {
	rest := append(options[:len(options):len(options)], payload...)
	if to.Is4() {
		h := []byte{0x45 + byte(len(options)/4), 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0}
		order.BigEndian.PutUint16(h[2:], uint16(20+len(rest)))
		h = append(append(h, from.AsSlice()...), to.AsSlice()...)
		order.BigEndian.PutUint16(h[10:], lab.Checksum(h, options))
		return append(h, rest...)
	}
	if options != nil {
		protocol = unix.IPPROTO_HOPOPTS
	}
	h := []byte{0x60, 0, 0, 0, 0, 0, protocol, 64}
	order.BigEndian.PutUint16(h[4:], uint16(len(rest)))
	return append(append(append(h, from.AsSlice()...), to.AsSlice()...), rest...)
}

// controlHeader writes one control message with a 32-bit value.
func controlHeader(to []byte, level, kind int32, value uint32) []byte {
	order.NativeEndian.PutUint64(to, uint64(unix.CmsgLen(4)))
	order.NativeEndian.PutUint32(to[8:], uint32(level))
	order.NativeEndian.PutUint32(to[12:], uint32(kind))
	order.NativeEndian.PutUint32(to[16:], value)
	return to
}
