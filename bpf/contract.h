/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between the programs and user space: every map, key and
 * value, in prose. User space takes its types from this file's BTF.
 *
 * WORDS
 *   number   a class as an integer; 0 is "unclassed". The fwmark carries it,
 *            spread over the bits of the instance's mask, lowest bit first.
 *   slot     a class's line in `counters`; it stays with the class when its
 *            number changes. Slot 0 counts what is unclassed.
 *   uplink   an uplink as an integer from 0, in the policy's order.
 *   match    one line of the policy, as an integer from 0, in file order.
 *            The lowest that holds wins.
 *
 * VERSIONS
 *   `live` says which of the two versions is in force: 0 or 1. A version is
 *   `tables[v]` and `cgroups[v]`, built while the other is in force, and
 *   published by the one store to `live`. A program reads `live` once, so a
 *   packet never sees a mix. A version that was never filled has no inner
 *   map and classes nothing.
 *
 * THE TABLE
 *   An array of 64-byte cells. Cell 0 is a `struct table_header`, cell 1 is
 *   all zero: the empty set; cell 2 is a `struct cgroup_start`. The others
 *   are of five kinds, and only what points at a cell knows which:
 *
 *   branch   eight __u64, ascending; each is (key << 32 | ref). For a 32-bit
 *            value x the last entry with key <= x holds. The first entry's
 *            key is the lowest the branch is asked for, and a branch with
 *            fewer than eight repeats its last entry to the end.
 *            The two top bits of ref say what it is (enum ref_kind):
 *            a set, a branch for the same value, or a branch for the next 32
 *            bits of an IPv6 address. The other bits are the cell, or the
 *            set.
 *   node     sixteen __u32: a bitmap of children, bit c for child c, and
 *            fifteen references to sets one level down; those of children
 *            that the bitmap lacks mean nothing.
 *   words    eight __u64 of bits; bit b stands for match 64w + b, where w is
 *            given by the path that leads to the word.
 *   verdicts sixteen __u32: the mark of match 16i + j, in place.
 *   text     a `struct text_cell`: bytes of a path that have no other way on.
 *
 *   A set of matches is `depth` levels of nodes above a word. A reference to
 *   a node is its cell; to a word, eight times its cell plus its place there.
 *   Child c of a node covers the c-th fifteenth of what the node covers: with
 *   depth 1, child c is the word of matches 64c to 64c + 63; with depth 2,
 *   child c is a node for matches 960c to 960c + 959. Equal sets, and equal
 *   parts of sets, are stored once.
 *
 *   For each field of a packet the header leads to the set of matches that
 *   the packet's value allows: those that name the value, and those that do
 *   not name the field. The matches that hold are the intersection over all
 *   fields; the lowest of them wins. (Per-field equivalence classes over
 *   aggregated bit vectors: Baboescu and Varghese, "Scalable Packet
 *   Classification", SIGCOMM 2001; the shared subtrees keep 100,000
 *   vectors in memory that grows with the rules and not with their square.)
 *
 *   Example. Two matches, {uid: 1000} and {uid: 1000, dport: 443}: depth 0,
 *   fields UID and DPORT. UID's branch holds (0 -> {}), (1000 -> {0, 1}),
 *   (1001 -> {}); DPORT's holds (0 -> {0}), (443 -> {0, 1}), (444 -> {0}).
 *   Uid 1000 to port 443 meets {0, 1}: match 0 wins.
 *
 * CGROUPS
 *   `cgroups[v]` maps a cgroup id (the inode of its directory) to the set of
 *   matches that name it or a cgroup above it, or no cgroup. The deepest
 *   ancestor of the task that has an entry decides; with none it is the
 *   header's `no_cgroup`. `cgroup_levels` has bit l set when some entry may be
 *   l levels below the cgroup2 root, so that others need no look-up.
 *
 *   Where the lowest match of such a set names no other field, it holds whatever
 *   else the packet says. Then there is no set: the reference is the match, with
 *   SET_DECIDED, and nothing is searched. So most sockets of a host are classed
 *   by one look-up, of their cgroup.
 *
 *   A cgroup gets its entry when it is made, by a program, and loses it when
 *   it is removed; user space puts in those that are there already. Both
 *   versions get it, so that none falls between the two: user space puts the
 *   next version's maps in their place first, then looks through the tree,
 *   and publishes last. Which cgroups have an entry, and which set, says an
 *   automaton in the table, which both of them walk:
 *
 *   A path is read from below the cgroup root `cgroup_start.root` byte by
 *   byte, names parted by '/', with a 0 at its end. A state of the automaton
 *   is a tree of branches for one byte. It leads to the next state (REF_NEXT),
 *   to a text that has to follow (REF_TEXT), or to a set, where the path ends:
 *   set 0 means that no line names the cgroup, by itself or any more. A text
 *   compares `length` bytes and goes on to `next`; a set there holds if the
 *   path ends there, and is 0 otherwise.
 *
 *   Example. One line, {cgroup: a.slice/db-*}. The start is the text
 *   "a.slice/db-" that leads to a state in which 0 leads to the line's set,
 *   '/' to set 0, and every other byte to the state itself.
 *
 * BUILDS
 *   An instance is of one build of this object: programs never meet maps that
 *   another build filled, so all that is above may change from one build to
 *   the next. A build that finds another's instance makes one of its own, gives
 *   that one's links its programs, and takes over these things, by which every
 *   build, newer or older, has to abide:
 *
 *   counters  What the older instance counted, its own `earlier` included, is
 *             added up in `earlier`, line by line; a line is what both maps
 *             say together. struct class_counters holds __u64 alone, and arrays
 *             of them. Fields are found by their names in the older map's BTF,
 *             and by their place where it has none: so no field changes its
 *             meaning under its name, and new ones go to the end. What one of
 *             the two does not know is lost on the way; where a line is, says
 *             the older instance's number of uplinks.
 *   classes   While both are there, CLASS_ANYWHERE in `flags` of a struct
 *             class_entry.
 *   notes     `arrivals` and `endings` are shared, if the mask and the maps' sizes are the
 *             same. No flag and no field of theirs changes its meaning; a build
 *             that needs another one changes the size.
 *   times     and `connecting` are shared if their sizes are the same, whatever the
 *             mask: a key of times says slot and uplink, and no line that another
 *             number of uplinks would give another meaning.
 *   incoming  and `incoming_told`, which no program knows, are shared in the same way.
 *   drops     is shared if its sizes are the same. While two instances' programs are
 *             attached, the newer one's count no drops and no times in the queue.
 *   hits      and `matches` of the version in force are read, if their sizes are the
 *             same, and added to `earlier` of the line of the same id.
 */
#ifndef WAYMARK_CONTRACT_H
#define WAYMARK_CONTRACT_H

#include "kernel.h"

enum limits {
	BRANCH_ENTRIES = 8,
	NODE_CHILDREN = 15,
	WORD_BITS = 64,
	MAX_DEPTH = 3, /* 64 * 15^3 = 216,000 matches */
	MAX_ROUTE = 8, /* uplinks in one class's route */
	MAX_UPLINKS = 64,
	MASK_RUNS = 16,
	WHOLE_MARKS = 256,
	TEXT_BYTES = 59,
	EMPTY_CELL = 1,
	CGROUP_CELL = 2,
	MAX_INSIDE = 128,
	MAX_PINS = 128,
};

enum field {
	FIELD_CGROUP,
	FIELD_UID,
	FIELD_PROTO,
	FIELD_SRC,
	FIELD_DST,
	FIELD_SPORT,
	FIELD_DPORT,
	FIELD_IIF,
	FIELDS,
	/* in a header's `fields`: some match can hold for a packet that no hook has seen: it names no uid, and not the cgroup and protocol alone */
	TABLE_HAS_TUPLES = 15,
};

/*
 * 128 bits as words in host byte order, most significant first. IPv4
 * addresses and plain numbers use the first alone.
 */
struct words {
	__u32 word[4];
};

enum ref_kind {
	REF_SET = 0,
	REF_BRANCH = 1, /* in the same 32 bits */
	REF_NEXT = 2,	/* in the next 32 bits, or for the next byte of a path */
	REF_TEXT = 3,	/* of a path */
	REF_KIND_SHIFT = 30,
	REF_CELL = (1 << 30) - 1, /* the other bits */
	SET_DECIDED = 1 << 29,	  /* of a cgroup's set: the other bits of it are the match that wins */
};

/*
 * Cell 0. `fields` has bit f set for each field that some match names; the
 * others are never looked at. Roots are branches. A packet whose addresses
 * are not known (a socket at its creation) takes no_src and no_dst: the
 * matches that name no such field.
 */
struct table_header {
	__u64 cgroup_levels;
	__u16 depth;
	__u16 fields;
	__u32 verdicts; /* first cell of the verdicts */
	__u32 no_cgroup;
	__u32 no_src;
	__u32 no_dst;
	__u32 uid;
	__u32 proto;
	__u32 ports[2];	    /* source, destination */
	__u32 addresses[2][2]; /* [IPv4, IPv6][source, destination] */
	__u32 iif;
};

struct table_cell {
	__u64 word[8];
};

/* Cell 2: where the paths of cgroups are read from. No ref: no line names a cgroup. */
struct cgroup_start {
	__u64 root; /* id of the cgroup that paths start below */
	__u32 ref;  /* with its kind */
	__u32 unused[13];
};

struct text_cell {
	__u32 next; /* a reference with its kind */
	__u8 length;
	__u8 bytes[TEXT_BYTES];
};

_Static_assert(sizeof(struct table_header) == sizeof(struct table_cell), "the header is one cell");
_Static_assert(sizeof(struct table_cell) == 64, "a cell is one cache line");
_Static_assert(sizeof(struct cgroup_start) == sizeof(struct table_cell), "the start is one cell");
_Static_assert(sizeof(struct text_cell) == sizeof(struct table_cell), "a text is one cell");

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
 * order, zero where the uplink has none. UPLINK_USABLE is clear for an uplink that was down when
 * user space last looked. UPLINK_WITHDRAWN: its link may be up, and nothing is
 * sent by it but what is bound to it, for user space found that it leads nowhere.
 */
enum uplink_flags { UPLINK_USABLE = 1, UPLINK_WITHDRAWN = 2 };

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
 * Why a packet left, or was about to leave, by another uplink than the
 * kernel's rules give its class. Each packet has one cause. CHOSEN is no
 * misroute: the application bound its socket to the device or to an
 * uplink's address, or answers where it was asked.
 */
enum misroute_cause {
	CAUSE_BEFORE,	/* the socket is older than the apply that classed it */
	CAUSE_LATE,	/* it was classed only here, or its mark came after its route */
	CAUSE_FOREIGN,	/* it carries a number of ours that no hook of ours gave it */
	CAUSE_PINNED,	/* its source address lives on this uplink only */
	CAUSE_NO_ROUTE, /* its class has no way at all */
	CAUSE_CHOSEN,
	CAUSE_UNKNOWN,
	CAUSES = 8, /* a power of two, for the verifier's sake */
};

/*
 * What tc egress last decided, on one CPU, about a packet that no hook had
 * classed or that is not on its class's way: `mark` has its class, `cause` is
 * CAUSE_UNKNOWN for one that leaves as it should or as its application chose.
 * `count` says how many decisions there were, so that those who watch, whom
 * alone it is for, know one that is new.
 */
enum outcome { OUTCOME_LEFT, OUTCOME_REPAIRED, OUTCOME_REFUSED };

struct decision {
	__u32 count;
	__u32 mark;
	__u32 cause;
	__u32 outcome;
};

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
 * their peer; lost ended by ETIMEDOUT.
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
 * How many times there were, of a kind, of a class and uplink, in one octave of
 * seconds: entry k counts times t with 2^(octave + k/8) < t <= 2^(octave +
 * (k+1)/8) seconds, the buckets of a Prometheus native histogram of schema 3.
 * Times below the lowest octave count in its entry 0, and those above the highest
 * in its last. An octave that was never met has no entry, so that memory goes
 * with what is there: one octave is 128 bytes.
 */
enum time_kind {
	TIME_RTT,     /* of TCP, each measurement of the kernel's */
	TIME_CONNECT, /* of TCP, from the first SYN to established */
	TIME_QUEUE,   /* from tc egress to the driver */

	/* User space's own: of an uplink that failed, with an enum turn_cause for a slot. */
	TIME_TURN,     /* from its last sign of life to the first packet that left by another in its place */
	TIME_TURN_SUM, /* octave 0's entry 0: all of these together, in nanoseconds */
};

/* What an uplink failed by. */
enum turn_cause {
	TURN_CARRIER, /* its link went down, or its interface away */
	TURN_GATEWAY, /* its probes find nobody behind a link that is up */
	TURN_ADDRESS, /* it has no address any more */
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

enum time_limits {
	OCTAVE_PARTS = 8,
	LOWEST_OCTAVE = -24, /* 60 ns */
	HIGHEST_OCTAVE = 7,  /* 128 to 256 s */
	TIME_OCTAVES = 32768, /* entries in all */
};

struct time_key {
	__u32 slot;
	__u8 uplink;
	__u8 kind;
	__u8 octave; /* less LOWEST_OCTAVE */
	__u8 unused;
};

struct time_octave {
	__u64 count[OCTAVE_PARTS];
};

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
 * A packet on its way from tc egress to the driver, one of QUEUE_SAMPLE that leave
 * by a line. Its tc_index is `tag`, whose lowest bits are its place; another that
 * takes the place costs the first its time. tag 0: nobody's.
 */
enum queue_limits { QUEUE_SAMPLE = 64, QUEUED = 1024 };

struct queued {
	__u64 ns;
	__u32 slot;
	__u16 uplink;
	__u16 tag;
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

/*
 * What is remembered of the few sockets for which the mark does not say
 * all. `first` is the mark a datagram socket had before a destination's
 * class replaced it, with NOTE_SWITCHES: its next datagram to a destination
 * of no class gets it back. `class_mark` is the class of a socket whose own
 * mark cannot be changed from outside (UDP), with NOTE_CLASS. NOTE_KEPT: a
 * change gave the socket another class, and it was left as it was. A socket of
 * another network namespace has no mark of ours: the class that it is kept in
 * is noted, for tc ingress.
 */
enum note_flags {
	NOTE_SWITCHES = 1,
	NOTE_CLASS = 2,
	NOTE_BEFORE = 4,  /* it was open before the apply that classed it */
	NOTE_INBOUND = 8, /* an accepted connection */
	NOTE_SOURCE = 16, /* its last datagram's source was named, or is where it was asked */
	NOTE_KEPT = 32,
};

struct socket_note {
	__u32 flags;
	__u32 first;
	__u32 class_mark;
};

/*
 * A prefix that is the host's own or that main reaches by more than its default, IPv4 as v4-mapped
 * IPv6: `bits` is its length, 1 to 128; an entry with 0 bits ends the list. `by_main` is 1 for one
 * of main's: its packets may leave by any uplink.
 */
struct inside_prefix {
	struct words prefix;
	__u32 bits;
	__u32 by_main;
};

/*
 * What became of the cgroups that were made and removed since the version in
 * force was published. `failed` found no room: their processes are classed as
 * if no line named them.
 */
struct arming {
	__u64 armed;   /* entries, in either version */
	__u64 removed; /* cgroups of the whole tree, with or without an entry */
	__u64 failed;
};

/*
 * An address that is an uplink's own: the rules send what comes from it by
 * that uplink, whatever its mark. `uplink` is its number; 0 bits end the
 * list.
 */
struct pin {
	struct inside_prefix source;
	__u32 uplink;
};

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
 * How a TCP connection from behind the host was classed when it began to end:
 * the kernel there goes on to answer for it when its socket is gone (TIME_WAIT,
 * a RST), and such a packet has no cgroup. Addresses and ports are those of the
 * packets as they come in. The slot is a hash of them. `seconds` are since boot;
 * what is LAST_WORDS old is nobody's.
 */
enum last_words { ENDINGS = 4096, LAST_WORDS = 120 };

struct ending {
	struct words addresses[2];
	__u32 ports[2];
	__u32 family;
	__u32 class_mark;
	__u32 seconds;
};

/*
 * One open flow that does not leave as new flows of its class do: `due` is
 * the mark of that class and `mark` the one that it has, another where a
 * change of class left it as it was. `uplink` is that whose own address its
 * source is, or the one that it last left by; 64 where neither can be told.
 * `cgroup` and `inode` are its socket's. Addresses of both families are
 * words, as everywhere; ports are in host byte order.
 */
struct stayed_flow {
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
	__u32 : 32;
};

/*
 * Where a datagram server was asked: the peer and ports of a datagram that
 * came to an unbound socket by an uplink, and the address it came to. The
 * answer gets it as its source. The slot is a hash of the rest; another
 * peer's entry in it is told by that.
 */
struct arrival {
	struct words peer;
	struct words local;
	__u32 family;
	__u16 peer_port;
	__u16 local_port;
};

#endif
