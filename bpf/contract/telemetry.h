/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What else is counted: drops, and hits of matches; and what the policy has not counted. */
#ifndef WAYMARK_CONTRACT_TELEMETRY_H
#define WAYMARK_CONTRACT_TELEMETRY_H

#include "../kernel/constants.h"

/*
 * Packets that the kernel dropped in the instance's network namespace, by what it
 * says of the reason (enum skb_drop_reason, which the kernel's BTF spells out) and
 * the address in the kernel at which it did. The class is that of the packet's
 * mark, or of its socket's; slot 0 has those that have none yet.
 */
struct drop_key {
	__u32 slot;
	__u32 reason;
	__u64 location;
};

/*
 * How often each of the first matches of a version won: one count in `hits` for
 * each, at version * HIT_MATCHES + match, which the programs add to. A connect
 * is a hit, a datagram of a socket that is not connected, and a packet that is
 * classed by itself. `matches` has at the same place what user space knows of it:
 * an id that is the same for the same line of the same class in every version,
 * 0 for none, and what it had won before this version was published.
 */
enum hit_limits { HIT_MATCHES = 4096 };

struct match_line {
	__u64 id;
	__u64 earlier;
};

/* What is not counted, by the policy: the one cell of `switches`. */
enum telemetry_off {
	OFF_RTT = 1,
	OFF_CONNECT = 2, /* connections, by what became of them, retransmits, and how long they took */
	OFF_QUEUE = 4,
	OFF_DROPS = 8,
	OFF_HITS = 16,
	OFF_SENDS = 32,
};

#endif
