/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Classes, and the uplinks that they leave by. */
#ifndef WAYMARK_CONTRACT_CLASS_H
#define WAYMARK_CONTRACT_CLASS_H

#include "limits.h"

/*
 * A class, by its number. A number that is not in use has CLASS_IN_USE
 * clear: packets that carry it are somebody else's. `route` lists the
 * uplinks in order, `hops` says how many; `uplinks` is the same as a
 * bitmap. With CLASS_BALANCED the order means nothing. CLASS_ANYWHERE is
 * for number 0: wherever it leaves is right, and `route` is main's way.
 * CLASS_NO_LEAK: what leaves by none of `uplinks`, and cannot be sent by one,
 * is dropped, not left.
 * CLASS_STRICT: what main knows by more than its default does not count.
 * CLASS_MOVES and CLASS_RESETS are the fate of open sockets that come into
 * the class by a change; with neither they are kept as they are.
 * CLASS_ANSWERS is for a number of no class: packets whose connection was
 * forwarded in by the route's one uplink, and has the number in its own mark.
 * Twice the number of their class is in tc_index, where tc ingress put it
 * (no more than 15 bits of it).
 */
enum class_flags {
	CLASS_IN_USE = 1,
	CLASS_BALANCED = 2,
	CLASS_ANYWHERE = 4,
	CLASS_NO_LEAK = 8,
	CLASS_STRICT = 16,
	CLASS_MOVES = 32,
	CLASS_RESETS = 64,
	CLASS_ANSWERS = 128,
};

struct class_entry {
	__u64 uplinks;
	__u32 slot;
	__u16 flags;
	__u8 hops;
	__u8 refusal; /* errno of the class's otherwise; 0: main */
	__u8 route[MAX_ROUTE];
};

/*
 * An uplink, by its number: its interface, its routing table, and the
 * address that an unbound datagram is given as its source, in network byte
 * order, zero where the uplink has none. UPLINK_USABLE is clear for an uplink
 * that was down when user space last looked. UPLINK_WITHDRAWN: its link may be
 * up, and nothing is sent by it but what is bound to it, for user space found
 * that it leads nowhere. UPLINK_IPV4 and UPLINK_IPV6 are the families that it is
 * a way for: it has an address, and a route to more than its link or to a public
 * network on that, which a class reaches by it alone.
 */
enum uplink_flags { UPLINK_USABLE = 1, UPLINK_WITHDRAWN = 2, UPLINK_IPV4 = 4, UPLINK_IPV6 = 8 };

struct uplink_entry {
	__u32 ifindex;
	__u32 flags;
	__u32 source4;
	__u32 source6[4];
	__u32 table;
	__u32 link_header; /* bytes in front of its packets' IP headers: 14 on Ethernet, 0 on a tunnel */
	__u32 vrf;	   /* ifindex of the VRF that it is in, by which its packets come to sockets; 0: none */
};

/*
 * By an uplink's number: `awaited` is set by user space while the first packet
 * is waited for that leaves by another uplink in its place, and cleared by
 * that packet, whose time is `ns` (CLOCK_MONOTONIC). Only what is on its
 * class's way and not by the first of its route looks at it.
 */
struct turn {
	__u64 ns;
	__u32 awaited;
	__u32 : 32;
};

#endif
