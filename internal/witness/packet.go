// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"waymark/internal/lab"
	"waymark/internal/match"
)

// frame is a packet of a flow with an Ethernet header, in the smallest frame
// that every kernel runs a program on.
func frame(f match.Flow) []byte {
	const smallest = 64
	etherType := uint16(unix.ETH_P_IPV6)
	if f.Dst.Is4() {
		etherType = unix.ETH_P_IP
	}
	b := append(binary.BigEndian.AppendUint16(make([]byte, 12), etherType), packet(f)...)
	return append(b, make([]byte, max(0, smallest-len(b)))...)
}

// packet is one of a flow, from its IP header on, whose sums are right: the first
// of a TCP connection, or a datagram.
func packet(f match.Flow) []byte {
	transport := make([]byte, 8)
	at := 6 // of the checksum
	if f.Proto == unix.IPPROTO_TCP {
		transport = make([]byte, 20)
		transport[12], transport[13], at = 5<<4, 2, 16 // five words of header; SYN
	} else {
		binary.BigEndian.PutUint16(transport[4:], uint16(len(transport)))
	}
	binary.BigEndian.PutUint16(transport, uint16(f.Sport))
	binary.BigEndian.PutUint16(transport[2:], uint16(f.Dport))
	pseudo := append(append(f.Src.AsSlice(), f.Dst.AsSlice()...), 0, byte(f.Proto), 0, byte(len(transport)))
	binary.BigEndian.PutUint16(transport[at:], lab.Checksum(pseudo, transport))
	header := []byte{0x60, 0, 0, 0, 0, byte(len(transport)), byte(f.Proto), 64}
	if f.Dst.Is4() {
		header = []byte{0x45, 0, 0, byte(20 + len(transport)), 0, 0, 0, 0, 64, byte(f.Proto), 0, 0}
	}
	header = append(append(header, f.Src.AsSlice()...), f.Dst.AsSlice()...)
	if f.Dst.Is4() {
		binary.BigEndian.PutUint16(header[10:], lab.Checksum(header))
	}
	return append(header, transport...)
}
