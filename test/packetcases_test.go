// SPDX-License-Identifier: Apache-2.0

package test

import (
	"strconv"

	"golang.org/x/sys/unix"
)

func packetCases() []packetCase {
	const ip, ip6 = unix.ETH_P_IP, unix.ETH_P_IPV6
	const udp, tcp = unix.IPPROTO_UDP, unix.IPPROTO_TCP
	const hop, routing, fragment, ah, dstopts = unix.IPPROTO_HOPOPTS, unix.IPPROTO_ROUTING, unix.IPPROTO_FRAGMENT, unix.IPPROTO_AH, unix.IPPROTO_DSTOPTS
	good4, good6 := packet4(udp, ports9(4)), packet6(udp, ports9(4))
	var many []byte
	for range 7 {
		many = append(many, ext(dstopts, 0)...)
	}
	cases := []packetCase{
		// Right.
		{"UDP", ip, good4, lineUDP},
		{"UDP of IPv6", ip6, good6, lineUDP},
		{"TCP", ip, packet4(tcp, []byte{0, 1, 1, 0xbb, 0, 0, 0, 0}), lineTCP},
		{"TCP of IPv6", ip6, packet6(tcp, []byte{0, 1, 1, 0xbb, 0, 0, 0, 0}), lineTCP},
		{"another port", ip, packet4(udp, []byte{0, 9, 0, 8, 0, 0, 0, 0}), lineAny},
		{"destination", ip, packet4(udp, ports9(4), put(19, 9)), lineDst},
		{"destination of IPv6", ip6, packet6(udp, ports9(4), put(39, 9)), lineDst},
		{"options", ip, packet4(udp, join(make([]byte, 40), ports9(4)), put(0, 0x4f)), lineUDP},
		{"padding of the link", ip, join(good4, make([]byte, 18)), lineUDP},
		{"SCTP", ip, packet4(unix.IPPROTO_SCTP, ports9(8)), lineSCTP},
		{"SCTP of IPv6", ip6, packet6(unix.IPPROTO_SCTP, ports9(8)), lineSCTP},
		{"ESP", ip, packet4(unix.IPPROTO_ESP, ports9(8)), lineESP},
		{"ESP of IPv6", ip6, packet6(unix.IPPROTO_ESP, ports9(8)), lineESP},
		{"AH hides what follows in IPv4", ip, packet4(ah, join(ext(udp, 0), ports9(8))), lineAny},
		{"AH of IPv6", ip6, packet6(ah, join([]byte{udp, 2}, make([]byte, 14), ports9(4))), lineUDP},
		{"ICMPv6", ip6, packet6(unix.IPPROTO_ICMPV6, make([]byte, 8)), lineICMPv6},
		{"no next header", ip6, packet6(59, nil), lineAny},
		{"v4-mapped addresses on the wire", ip6, packet6(udp, ports9(4), put(24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 9)), lineUDP},
		{"port 0", ip, packet4(udp, make([]byte, 8)), lineAny},
		{"an unknown protocol", ip, packet4(253, ports9(4)), lineAny},
		{"UDP-Lite", ip, packet4(unix.IPPROTO_UDPLITE, ports9(4)), lineLite},
		{"UDP-Lite of IPv6", ip6, packet6(unix.IPPROTO_UDPLITE, ports9(4)), lineLite},
		{"DCCP", ip, packet4(unix.IPPROTO_DCCP, ports9(8)), lineDCCP},
		{"DCCP of IPv6", ip6, packet6(unix.IPPROTO_DCCP, ports9(8)), lineDCCP},
		{"IPv6 in IPv4", ip, packet4(unix.IPPROTO_IPV6, good6), lineAny},
		{"IPv4 in IPv4", ip, packet4(unix.IPPROTO_IPIP, good4), lineAny},
		{"IPv4 in IPv6", ip6, packet6(unix.IPPROTO_IPIP, good4), lineAny},
		{"GRE", ip, packet4(unix.IPPROTO_GRE, join([]byte{0, 0, 8, 0}, good4)), lineAny},
		{"a flow label", ip6, packet6(udp, ports9(4), put(1, 0xf, 0xff, 0xff)), lineUDP},
		{"to a group", ip, packet4(udp, ports9(4), put(16, 224, 0, 0, 251)), lineUDP},
		{"from everybody to everybody", ip, packet4(udp, ports9(4), put(12, 255, 255, 255, 255, 255, 255, 255, 255)), lineUDP},
		{"no next header, and more behind", ip6, packet6(59, ports9(4)), lineAny},
		// Extension headers.
		{"hop-by-hop twice, and behind another", ip6, packet6(dstopts, join(ext(hop, 0), ext(hop, 0), ext(udp, 0), ports9(4))), lineUDP},
		{"mobility", ip6, packet6(unix.IPPROTO_MH, ext(59, 0)), lineAny},
		{"a header that is none of ours", ip6, packet6(139, ext(udp, 0)), lineAny},
		{"AH past the end", ip6, packet6(ah, join([]byte{udp, 200}, make([]byte, 14), ports9(4))), noLine},
		{"AH shorter than one", ip6, packet6(ah, join([]byte{udp, 0}, make([]byte, 6), ports9(4))), lineUDP},
		{"ESP behind options", ip6, packet6(dstopts, join(ext(unix.IPPROTO_ESP, 0), ports9(8))), lineESP},
		{"hop-by-hop", ip6, packet6(hop, join(ext(udp, 0), ports9(4))), lineUDP},
		{"routing, long", ip6, packet6(routing, join(ext(udp, 5), ports9(4))), lineUDP},
		{"eight extension headers", ip6, packet6(dstopts, join(many, ext(udp, 0), ports9(4))), lineUDP},
		{"nine extension headers", ip6, packet6(dstopts, join(many, ext(dstopts, 0), ext(udp, 0), ports9(4))), noLine},
		{"an endless chain", ip6, packet6(dstopts, join(many, many, many)), noLine},
		{"an extension header past the end", ip6, packet6(dstopts, join(ext(udp, 0), ports9(4)), put(41, 200)), noLine},
		{"an extension header cut short", ip6, packet6(dstopts, []byte{udp, 0, 0, 0}), noLine},
		{"an extension header and no more", ip6, packet6(dstopts, nil), noLine},
		{"an extension header instead of ports", ip6, packet6(dstopts, ext(udp, 0)), noLine},
		{"a jumbogram", ip6, packet6(hop, join(ext(udp, 0, 0xc2, 4, 0, 1, 0, 0), ports9(4)), put(4, 0, 0)), lineUDP},
		{"a jumbogram's option past the end", ip6, packet6(hop, join(ext(48, 0), ports9(4)), put(4, 0, 0), put(41, 48)), noLine},
		// Fragments, each of a datagram of its own.
		{"first fragment", ip, packet4(udp, ports9(12), put(4, 1, 1, 0x20, 0)), lineUDP},
		{"a later one", ip, packet4(udp, make([]byte, 16), put(4, 1, 1, 0, 2)), lineUDP},
		{"a later one of another datagram", ip, packet4(udp, ports9(12), put(4, 1, 2, 0, 2)), lineAny},
		{"a later one of another protocol", ip, packet4(tcp, ports9(12), put(4, 1, 1, 0, 2)), lineAny},
		{"don't fragment", ip, packet4(udp, ports9(4), put(6, 0x40)), lineUDP},
		{"first fragment without ports", ip, packet4(udp, nil, put(4, 1, 3, 0x20, 0)), noLine},
		{"first fragment of IPv6", ip6, packet6(fragment, join(ext(udp, 0, 0, 1, 9, 9, 9, 1), ports9(4))), lineUDP},
		{"a later one of IPv6", ip6, packet6(fragment, join(ext(udp, 0, 0, 8, 9, 9, 9, 1), make([]byte, 8))), lineUDP},
		{"a later one of another datagram of IPv6", ip6, packet6(fragment, join(ext(udp, 0, 0, 8, 9, 9, 9, 2), ports9(4))), lineAny},
		{"an atomic fragment", ip6, packet6(fragment, join(ext(udp, 0, 0, 0, 9, 9, 9, 3), ports9(4))), lineUDP},
		{"a fragment that lies over the ports", ip, packet4(udp, make([]byte, 16), put(4, 1, 1, 0x20, 1)), lineUDP},
		{"a first fragment once more, of other ports", ip, packet4(udp, make([]byte, 16), put(4, 1, 1, 0x20, 0)), lineAny},
		{"a later one of these", ip, packet4(udp, ports9(12), put(4, 1, 1, 0, 2)), lineAny},
		{"a fragment of no bytes", ip, packet4(udp, nil, put(4, 1, 4, 0, 2)), lineAny},
		{"a fragment at the far end", ip, packet4(udp, ports9(4), put(4, 1, 5, 0x1f, 0xff)), lineAny},
		{"a reserved bit", ip, packet4(udp, ports9(4), put(6, 0x80)), lineUDP},
		{"first fragment whose headers go on in the next", ip6, packet6(fragment, ext(dstopts, 0, 0, 1, 9, 9, 9, 4)), noLine},
		{"a fragment header in another's", ip6, packet6(fragment, join(ext(fragment, 0, 0, 0, 9, 9, 9, 5), ext(udp, 0, 0, 0, 9, 9, 9, 6), ports9(4))), lineUDP},
		{"a later fragment that looks like a chain", ip6, packet6(fragment, join(ext(dstopts, 0, 0, 8, 9, 9, 9, 7), ext(dstopts, 9))), lineAny},
		{"a fragment header cut short", ip6, packet6(fragment, []byte{udp, 0, 0, 1}), noLine},
		// Lies.
		{"version 5", ip, packet4(udp, ports9(4), put(0, 0x55)), noLine},
		{"version 0", ip, packet4(udp, ports9(4), put(0, 0x05)), noLine},
		{"IPv6 in an IPv4 frame", ip, good6, noLine},
		{"IPv4 in an IPv6 frame", ip6, good4, noLine},
		{"a header of 16 bytes", ip, packet4(udp, ports9(4), put(0, 0x44)), noLine},
		{"a header of no bytes", ip, packet4(udp, ports9(4), put(0, 0x40)), noLine},
		{"a header longer than the packet", ip, packet4(udp, ports9(4), put(0, 0x4f)), noLine},
		{"a total shorter than the header", ip, packet4(udp, ports9(4), put(2, 0, 19)), noLine},
		{"a total of nothing", ip, packet4(udp, ports9(4), put(2, 0, 0)), noLine},
		{"a total without ports", ip, packet4(udp, ports9(4), put(2, 0, 22)), noLine},
		{"UDP of nothing", ip, packet4(udp, nil), noLine},
		{"TCP of three bytes", ip, packet4(tcp, []byte{0, 1, 1}), noLine},
		{"TCP of its ports", ip, packet4(tcp, []byte{0, 1, 1, 0xbb}), lineTCP},
		{"SCTP of two bytes", ip6, packet6(unix.IPPROTO_SCTP, []byte{0, 1}), noLine},
		{"a total longer than the packet", ip, packet4(udp, ports9(4), put(2, 5, 0)), noLine},
		{"a payload longer than the packet", ip6, packet6(udp, ports9(4), put(4, 5, 0)), noLine},
		{"a payload without ports", ip6, packet6(udp, ports9(4), put(4, 0, 3)), noLine},
		{"a payload of nothing", ip6, packet6(udp, ports9(4), put(4, 0, 0)), noLine},
		// Others.
		{"ARP", unix.ETH_P_ARP, make([]byte, 28), noLine},
		{"MPLS", unix.ETH_P_MPLS_UC, good4, noLine},
		{"a tag in the frame", unix.ETH_P_8021Q, join([]byte{0, 10, 8, 0}, good4), noLine},
		{"two tags in the frame", unix.ETH_P_8021AD, join([]byte{0, 10, 0x81, 0, 0, 11, 8, 0}, good4), noLine},
		{"PPPoE", unix.ETH_P_PPP_SES, join([]byte{0x11, 0, 0, 1, 0, 30, 0, 0x21}, good4), noLine},
		{"LLDP", unix.ETH_P_LLDP, good4, noLine},
		{"no ethertype", 0, good4, noLine},
		{"the last ethertype", 0xffff, good6, noLine},
		{"an old length", 46, good4, noLine},
	}
	for _, n := range []int{1, 8, 19, 20, 23} {
		cases = append(cases, packetCase{"IPv4 cut to " + strconv.Itoa(n), ip, cut(n, good4), noLine})
	}
	for _, n := range []int{1, 8, 39, 40, 43} {
		cases = append(cases, packetCase{"IPv6 cut to " + strconv.Itoa(n), ip6, cut(n, good6), noLine})
	}
	return cases
}
