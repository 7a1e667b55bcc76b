// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"waymark/internal/match"
)

// frame is a packet of a flow with an Ethernet header, in the smallest frame
// that every kernel runs a program on.
func frame(f match.Flow) []byte {
	const smallest = 64
	transport := make([]byte, 8)
	binary.BigEndian.PutUint16(transport, uint16(f.Sport))
	binary.BigEndian.PutUint16(transport[2:], uint16(f.Dport))
	etherType, header := uint16(unix.ETH_P_IPV6), []byte{0x60, 0, 0, 0, 0, 8, byte(f.Proto), 64}
	if f.Dst.Is4() {
		etherType, header = unix.ETH_P_IP, []byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, byte(f.Proto), 0, 0}
	}
	b := binary.BigEndian.AppendUint16(make([]byte, 12), etherType)
	for _, part := range [][]byte{header, f.Src.AsSlice(), f.Dst.AsSlice(), transport} {
		b = append(b, part...)
	}
	return append(b, make([]byte, max(0, smallest-len(b)))...)
}
