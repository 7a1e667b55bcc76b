// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"encoding/binary"
	"net/netip"
	"os"
	"time"
)

// Types of ICMP messages.
const (
	echo4, reply4 = 8, 0
	echo6, reply6 = 128, 129
)

// icmp is an echo request by a raw socket: a ping socket would need
// net.ipv4.ping_group_range. The socket is connected, and hears of all ICMP only
// what comes from the target.
func icmp(to netip.Addr) ask {
	network := "ip4:icmp"
	if to.Is6() {
		network = "ip6:ipv6-icmp"
	}
	return func(ctx context.Context, w way) error {
		id, sequence := uint16(os.Getpid()), uint16(time.Now().UnixNano()>>10)
		return exchange(ctx, w, network, netip.AddrPortFrom(to, 0), echoRequest(to, id, sequence), func(packet []byte) bool {
			return isReply(packet, to, id, sequence)
		})
	}
}

// echoRequest is one; the kernel fills in the checksum of IPv6.
func echoRequest(to netip.Addr, id, sequence uint16) []byte {
	m := []byte{echo4, 0, 0, 0}
	if to.Is6() {
		m[0] = echo6
	}
	m = binary.BigEndian.AppendUint16(m, id)
	m = binary.BigEndian.AppendUint16(m, sequence)
	m = append(m, "waymark probe..."...)
	if to.Is4() {
		binary.BigEndian.PutUint16(m[2:], checksum(m))
	}
	return m
}

// isReply tells whether a packet is the answer; an IPv4 one begins with its
// IP header.
func isReply(packet []byte, to netip.Addr, id, sequence uint16) bool {
	reply := byte(reply6)
	if to.Is4() {
		reply = reply4
		if len(packet) < 20 {
			return false
		}
		packet = packet[min(len(packet), int(packet[0]&15)*4):]
	}
	return len(packet) >= 8 && packet[0] == reply && binary.BigEndian.Uint16(packet[4:]) == id && binary.BigEndian.Uint16(packet[6:]) == sequence
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for k := 0; k+1 < len(b); k += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[k:]))
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
