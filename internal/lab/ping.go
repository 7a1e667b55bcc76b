// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

const (
	echoHeader   = 8
	echoRequest4 = 8
	echoReply4   = 0
	echoRequest6 = 128
	echoReply6   = 129
)

// echoRequest is an ICMP message with size bytes of payload. The kernel fills
// the checksum in for IPv6, and the identifier for SOCK_DGRAM.
func echoRequest(family, sequence, size int) []byte {
	m := make([]byte, echoHeader+size)
	binary.BigEndian.PutUint16(m[4:], echoID())
	binary.BigEndian.PutUint16(m[6:], uint16(sequence))
	if family == unix.AF_INET6 {
		m[0] = echoRequest6
		return m
	}
	m[0] = echoRequest4
	binary.BigEndian.PutUint16(m[2:], Checksum(m))
	return m
}

func echoID() uint16 { return uint16(os.Getpid()) }

// isEchoReply tells whether a received message answers one of ours. A raw
// socket hears all ICMP of the host, for IPv4 with the IP header in front.
func isEchoReply(raw bool, family int, m []byte) bool {
	want := byte(echoReply6)
	if family == unix.AF_INET {
		want = echoReply4
		if raw && len(m) > 0 {
			m = m[min(len(m), int(m[0]&0xf)*4):]
		}
	}
	if len(m) < echoHeader || m[0] != want {
		return false
	}
	return !raw || binary.BigEndian.Uint16(m[4:]) == echoID()
}

// Checksum is the Internet checksum (RFC 1071) of parts, of which all but the
// last have an even length. Over what has its checksum it is 0.
func Checksum(parts ...[]byte) uint16 {
	var sum uint32
	for _, b := range parts {
		for ; len(b) >= 2; b = b[2:] {
			sum += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
