// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// A Packet is what the headers of one captured packet say. A field that the
// packet does not have is zero: ports of ICMP or of a later fragment, say.
type Packet struct {
	Time      time.Time
	EtherType uint16         // unix.ETH_P_IP, ETH_P_IPV6, ETH_P_ARP, ...
	Proto     uint8          // unix.IPPROTO_TCP, ...: what follows the IP and extension headers
	Src, Dst  netip.AddrPort // IP only
	Len       int            // bytes of the packet without its Ethernet header
	TTL       uint8          // or IPv6 hop limit
	Fragment  bool           // one of several fragments
	TCPFlags  uint8          // FIN 1, SYN 2, RST 4, PSH 8, ACK 16
	ICMPType  uint8          // ICMP and ICMPv6
	ICMPCode  uint8
}

// String is the packet in one line, for failures of tests.
func (p Packet) String() string {
	if !p.Src.IsValid() {
		return fmt.Sprintf("ethertype 0x%04x len %d", p.EtherType, p.Len)
	}
	text := fmt.Sprintf("%s > %s proto %d len %d ttl %d", p.Src, p.Dst, p.Proto, p.Len, p.TTL)
	switch p.Proto {
	case unix.IPPROTO_TCP:
		text += fmt.Sprintf(" flags 0x%02x", p.TCPFlags)
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		text += fmt.Sprintf(" type %d code %d", p.ICMPType, p.ICMPCode)
	}
	if p.Fragment {
		text += " fragment"
	}
	return text
}

// parsePacket reads the headers of a packet from its network layer on. What is
// cut short stays zero.
func parsePacket(etherType uint16, b []byte) Packet {
	p := Packet{EtherType: etherType, Len: len(b)}
	switch {
	case etherType == unix.ETH_P_IP && len(b) >= 20:
		p.parse4(b)
	case etherType == unix.ETH_P_IPV6 && len(b) >= 40:
		p.parse6(b)
	}
	return p
}

func (p *Packet) parse4(b []byte) {
	header := int(b[0]&0xf) * 4
	p.Proto, p.TTL = b[9], b[8]
	p.Src = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:16])), 0)
	p.Dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:20])), 0)
	fragment := binary.BigEndian.Uint16(b[6:])
	offset := fragment & 0x1fff
	p.Fragment = offset != 0 || fragment&0x2000 != 0
	if offset == 0 && header >= 20 && len(b) > header {
		p.parseTransport(b[header:])
	}
}

func (p *Packet) parse6(b []byte) {
	p.Proto, p.TTL = b[6], b[7]
	p.Src = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])), 0)
	p.Dst = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[24:40])), 0)
	b = b[40:]
	for len(b) >= 8 {
		size := 8
		switch p.Proto {
		case unix.IPPROTO_HOPOPTS, unix.IPPROTO_ROUTING, unix.IPPROTO_DSTOPTS:
			size += int(b[1]) * 8
		case unix.IPPROTO_FRAGMENT:
			p.Fragment = true
			if binary.BigEndian.Uint16(b[2:])&^7 != 0 {
				p.Proto = b[0]
				return
			}
		default:
			p.parseTransport(b)
			return
		}
		if len(b) < size {
			return
		}
		p.Proto, b = b[0], b[size:]
	}
}

func (p *Packet) parseTransport(b []byte) {
	switch p.Proto {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP:
		if len(b) < 4 {
			return
		}
		p.Src = netip.AddrPortFrom(p.Src.Addr(), binary.BigEndian.Uint16(b))
		p.Dst = netip.AddrPortFrom(p.Dst.Addr(), binary.BigEndian.Uint16(b[2:]))
		if p.Proto == unix.IPPROTO_TCP && len(b) > 13 {
			p.TCPFlags = b[13]
		}
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		if len(b) >= 2 {
			p.ICMPType, p.ICMPCode = b[0], b[1]
		}
	}
}
