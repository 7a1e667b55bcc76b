/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is remembered of single sockets and connections. */
#ifndef WAYMARK_CONTRACT_NOTE_H
#define WAYMARK_CONTRACT_NOTE_H

#include "table.h"

/*
 * What is remembered of the few sockets for which the mark does not say
 * all. `first` is the mark a datagram socket had before a destination's
 * class replaced it, with NOTE_SWITCHES: its next datagram to a destination
 * of no class gets it back. `class_mark` is the class of a socket whose own
 * mark cannot be changed from outside (UDP), with NOTE_CLASS. NOTE_KEPT: a
 * change gave the socket another class, and it was left as it was. A socket of
 * another network namespace has no mark of ours: the class that it is kept in
 * is noted, for tc ingress.
 *
 * The flags and the mark are those of the last datagram, of whichever thread. What the
 * hook decided of each that may be on its way is in `sent`, of such a socket as is not
 * connected: the place is a hash of who it is for, and 0 is nobody's. From the top,
 * there are that hash without its lowest byte, in its place NOTE_SOURCE and NOTE_DEVICE
 * of the datagram, and the mark of its class.
 */
enum note_flags {
	NOTE_SWITCHES = 1,
	NOTE_CLASS = 2,
	NOTE_BEFORE = 4,  /* it was open before the apply that classed it */
	NOTE_INBOUND = 8, /* an accepted connection */
	NOTE_SOURCE = 16, /* its last datagram's source was named, or is where it was asked */
	NOTE_KEPT = 32,
	NOTE_DEVICE = 64, /* the interface that its last datagram leaves by was named */
	NOTE_ASIDE = 128, /* it is connected, and sent to others: what is not for its peer has the class of `class_mark` */
};

struct socket_note {
	__u32 flags;
	__u32 first;
	__u32 class_mark;
};

enum { SENT_BITS = 5 };

struct sent_datagrams {
	__u64 to[1 << SENT_BITS];
};

/*
 * Where a datagram server was asked: the peer and ports of a datagram that
 * came to an unbound socket by an uplink, and the address it came to. The
 * answer gets it as its source, as long as that uplink has a link, and for
 * ASKED_LATELY seconds, which is how long NATs remember (RFC 4787): the address
 * may be gone later, and nothing could be sent from it. A server that connects to
 * the peer is bound to that uplink instead. `socket` has
 * the low bits of the cookie of who was asked: it is nobody else's, but for sockets
 * that share a port (SO_REUSEPORT). The slot is a hash of the rest; another peer's entry in it is told by that. `seconds` are
 * since boot. Of a flow that the socket itself began, `family` has BEGUN_HERE
 * beside it: what comes is an answer, which ties the flow to nothing, and
 * `local` is the address that it came to last, or is to come to.
 */
enum { BEGUN_HERE = 0x100, ASKED_LATELY = 300 };

struct arrival {
	struct words peer;
	struct words local;
	__u32 socket;
	__u16 family;
	__u16 uplink;
	__u16 peer_port;
	__u16 local_port;
	__u32 seconds;
};

/*
 * A flow of a connected socket that no hook saw connect: its packets have the source
 * address of the uplink that they leave by, and its own is `own`. Ports are those of the packets as
 * they leave; of ICMP both are the id. `seconds` are since boot.
 */
struct borrowed {
	struct words peer;
	struct words source;
	struct words own;
	__u32 ports[2];
	__u16 family;
	__u16 proto;
	__u32 seconds;
};

/*
 * How a TCP connection from behind the host was classed when it began to end,
 * and the last datagram of a UDP flow: the kernel there goes on to answer for
 * them when the socket is gone (TIME_WAIT, a RST, an ICMP error), and such a
 * packet has no cgroup. Addresses and ports are those of the packets as they
 * come in. The slot is a hash of them. `seconds` are since boot; what is
 * LAST_WORDS old is nobody's.
 */
enum last_words { ENDINGS = 4096, LAST_WORDS = 120 };

struct ending {
	struct words addresses[2];
	__u32 ports[2];
	__u16 family;
	__u16 proto;
	__u32 class_mark;
	__u32 seconds;
};

#endif
