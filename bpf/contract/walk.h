/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Walks over the open sockets: after a change, and to count them. */
#ifndef WAYMARK_CONTRACT_WALK_H
#define WAYMARK_CONTRACT_WALK_H

#include "table.h"

/* What becomes of an open socket that a change gave another class. */
enum fate {
	FATE_OF_CLASS, /* what the class says that it comes into */
	FATE_KEEP,
	FATE_MOVE,
	FATE_RESET,
};

/* In place of the version before a change: there is none, and every socket without a class gets its own. */
enum walk_versions { NO_VERSION = 2 };

/*
 * What a walk is asked: `from` and `to` are the versions before and after the
 * change, of the first there may be none (NO_VERSION); `fate` is an enum fate
 * that was asked for. `elsewhere` is set for a network namespace that is not
 * the instance's: its sockets carry no class, and tc ingress classes their
 * packets, one by one, by the table that is in force. `holds` is set for a walk
 * there before the new table is: it notes the class of flows that the change
 * will leave as they are, and counts none. `rehearses` is set for a walk that counts and does nothing.
 *
 * `usable_before` and `usable` are the uplinks that could be used before a
 * change and can be now, as bitmaps. Where they differ, no class and no
 * number changed, and the flows meet their fate whose class leaves by other
 * uplinks of its route now; `from` and `to` are then the version in force.
 *
 * `port` is a source port in host byte order, 0 for none: a count of the flows
 * tells of each that has it, wherever it leaves.
 */
struct walk_order {
	__u32 from;
	__u32 to;
	__u32 fate;
	__u32 elsewhere;
	__u32 holds;
	__u32 rehearses;
	__u64 usable_before;
	__u64 usable;
	__u32 port;
	__u32 : 32;
};

/*
 * What a walk over the open sockets did with those that a change gave
 * another class, or whose class has another number. Listeners and
 * unconnected UDP sockets are no flows, and not counted.
 */
struct walk_result {
	__u64 marked; /* open before there were classes: TCP that got its class's mark */
	__u64 noted;  /* the same for UDP, whose class is noted */
	__u64 moved;
	__u64 kept;
	__u64 pinned;  /* kept, for their source address lives on another uplink */
	__u64 inbound; /* kept, for they are accepted connections, which leave where they came in */
	__u64 reset;
	__u64 failed;
};

/*
 * The flows that are open, TCP connections and connected UDP sockets, of the
 * class that they leave by; and those that would be in this class, had a
 * change not left them as they were.
 */
struct open_flows {
	__u64 open;
	__u64 kept;
};

/*
 * One open flow that does not leave as new flows of its class do, or that was
 * asked for: `due` is the mark of that class and `mark` the one that it has, another
 * where a change of class left it as it was. `bound` is 1 for the address and for the
 * port of its source that its application chose. `uplink` is that whose own address its
 * source is, or the one that it last left by; 64 where neither can be told.
 * `cgroup` and `inode` are its socket's. Addresses of both families are
 * words, as everywhere; ports are in host byte order.
 */
struct told_flow {
	__u64 cgroup;
	__u64 inode;
	struct words addresses[2]; /* source, destination */
	__u32 family;
	__u32 uid;
	__u32 mark;
	__u32 due;
	__u32 uplink;
	__u16 ports[2];
	__u32 proto;
	__u16 bound[2];
};

#endif
