/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is counted of each class and uplink. */
#ifndef WAYMARK_CONTRACT_COUNTERS_H
#define WAYMARK_CONTRACT_COUNTERS_H

#include "misroute.h"

/*
 * What one CPU saw of one class on one uplink, at tc egress. Key:
 * slot * uplinks + uplink, where `uplinks` is the instance's constant.
 * Bytes are those on the wire, link header included, each segment of a GSO
 * packet with its own headers; packets are segments. Packets that were sent
 * to the right uplink instead are not in `packets` of this one; they are
 * counted there. `dropped` were not let out at all. `foreign` carried bits
 * of the fwmark that are somebody else's. `refused` are attempts of the
 * class's processes to take another class's mark, on uplink 0's line.
 *
 * What ends in 6 is the part of it that is IPv6. `received` is what came in by
 * the uplink to a TCP, UDP or ping socket of the class, in the same units:
 * each segment of a GRO packet, with its own headers. (Raw sockets get copies
 * of others' packets, and so does every socket that listens to a multicast or
 * broadcast: those are nobody's.) Slot 0's are those of builds that had no
 * `incoming`, which says the rest. `segments` are TCP segments that left.
 *
 * Connections count on the uplink that they leave by at that moment, and on
 * the first that their class may leave by when they have no route any more.
 * opened and accepted are all that were established; closed, all of those
 * that ended, aborted and lost among them. refused, unreachable, timed_out and
 * failed are connects that came to nothing: by ECONNREFUSED; by ENETUNREACH,
 * EHOSTUNREACH, EACCES, EPERM or their like; by ETIMEDOUT; by any other error,
 * or because the application gave up. aborted were established and reset by
 * their peer; lost ended by ETIMEDOUT, or by what the network said of the way before that
 * (ENETUNREACH, EHOSTUNREACH or their like).
 *
 * moved, kept_sockets and reset_sockets are sockets that a change would have
 * in this class, by their fate, on the first uplink that the class may leave by.
 *
 * send_errors are datagrams, and connects of datagram sockets, that a hook of ours
 * refused; a connection that one refused is unreachable. What the kernel's own
 * rules refuse before there is a packet is in neither.
 *
 * send_unreachable, refused, too_big, no_buffers and failed are sends by datagram and
 * raw sockets that returned an error, whoever refused them, on the first uplink that the
 * class may leave by: with ENETUNREACH, EHOSTUNREACH, ENETDOWN, EACCES or EPERM; with
 * ECONNREFUSED, which an earlier datagram met; EMSGSIZE; ENOBUFS; with any other. The
 * class is that of the socket's mark.
 *
 * rtt_ns, connect_ns and queue_ns are the sums of what `times` counts.
 */
struct class_counters {
	__u64 packets;
	__u64 bytes;
	__u64 repaired;
	__u64 dropped;
	__u64 foreign;
	__u64 refused;
	__u64 misroutes[CAUSES];
	__u64 packets6;
	__u64 bytes6;
	__u64 received;
	__u64 received_bytes;
	__u64 received6;
	__u64 received_bytes6;
	__u64 segments;
	__u64 retransmitted;
	__u64 opened;
	__u64 accepted;
	__u64 closed;
	__u64 refused_connects;
	__u64 unreachable;
	__u64 timed_out;
	__u64 failed;
	__u64 aborted;
	__u64 lost;
	__u64 moved;
	__u64 kept_sockets;
	__u64 reset_sockets;
	__u64 send_errors;
	__u64 rtt_ns;
	__u64 connect_ns;
	__u64 queue_ns;
	__u64 send_unreachable;
	__u64 send_refused;
	__u64 send_too_big;
	__u64 send_no_buffers;
	__u64 send_failed;
};

/*
 * What one CPU saw come in by an uplink, by the uplink's number, in the units of
 * class_counters: `all` of it, as tc ingress has it and the interface counts it,
 * and what of that is in `received` of some class that is or was. The rest is what
 * is unclassed: to sockets of no class, to none (TIME_WAIT, closed ports, the kernel's
 * own answers), copies, what is forwarded. A packet is in `all` before it is in
 * `classed`: who reads in this order never finds more of the rest than there is.
 *
 * What tc ingress has counted has the uplink in its tc_index: TAG_INCOMING, and the
 * number above the lowest bit. (Others there are even: a class, from another
 * interface's tc ingress; or odd without the uppermost bit: a sample of the queue.)
 * A fragment has TAG_FRAGMENT too, and so has the datagram that the kernel makes of
 * it. How many there were nobody knows then: they are unclassed.
 */
struct volume {
	__u64 packets;
	__u64 bytes;
};

struct volumes {
	struct volume ipv4; /* and whatever else is not IPv6 */
	struct volume ipv6;
};

struct incoming_volumes {
	struct volumes all;
	struct volumes classed;
};

enum tags { TAG_QUEUED = 0x0001, TAG_INCOMING = 0x8001, TAG_KIND = 0x8001, TAG_FRAGMENT = 0x4000 };

#endif
