/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The table that classes a flow: which match of the policy wins.
 *
 * An array of 64-byte cells. Cell 0 is a `struct table_header`, cell 1 is
 * all zero: the empty set; cell 2 is a `struct cgroup_start`. The others
 * are of five kinds, and only what points at a cell knows which:
 *
 * branch   eight __u64, ascending; each is (key << 32 | ref). For a 32-bit
 *          value x the last entry with key <= x holds. The first entry's
 *          key is the lowest the branch is asked for, and a branch with
 *          fewer than eight repeats its last entry to the end.
 *          The two top bits of ref say what it is (enum ref_kind):
 *          a set, a branch for the same value, or a branch for the next 32
 *          bits of an IPv6 address. The other bits are the cell, or the
 *          set.
 * node     sixteen __u32: a bitmap of children, bit c for child c, and
 *          fifteen references to sets one level down; those of children
 *          that the bitmap lacks mean nothing.
 * words    eight __u64 of bits; bit b stands for match 64w + b, where w is
 *          given by the path that leads to the word.
 * verdicts sixteen __u32: the mark of match 16i + j, in place.
 * text     a `struct text_cell`: bytes of a path that have no other way on.
 *
 * A set of matches is `depth` levels of nodes above a word. A reference to
 * a node is its cell; to a word, eight times its cell plus its place there.
 * Child c of a node covers the c-th fifteenth of what the node covers: with
 * depth 1, child c is the word of matches 64c to 64c + 63; with depth 2,
 * child c is a node for matches 960c to 960c + 959. Equal sets, and equal
 * parts of sets, are stored once.
 *
 * For each field of a packet the header leads to the set of matches that
 * the packet's value allows: those that name the value, and those that do
 * not name the field. The matches that hold are the intersection over all
 * fields; the lowest of them wins. (Per-field equivalence classes over
 * aggregated bit vectors: Baboescu and Varghese, "Scalable Packet
 * Classification", SIGCOMM 2001; the shared subtrees keep 100,000
 * vectors in memory that grows with the rules and not with their square.)
 *
 * Example. Two matches, {uid: 1000} and {uid: 1000, dport: 443}: depth 0,
 * fields UID and DPORT. UID's branch holds (0 -> {}), (1000 -> {0, 1}),
 * (1001 -> {}); DPORT's holds (0 -> {0}), (443 -> {0, 1}), (444 -> {0}).
 * Uid 1000 to port 443 meets {0, 1}: match 0 wins.
 */
#ifndef WAYMARK_CONTRACT_TABLE_H
#define WAYMARK_CONTRACT_TABLE_H

#include "limits.h"

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

_Static_assert(sizeof(struct table_header) == sizeof(struct table_cell), "the header is one cell");
_Static_assert(sizeof(struct table_cell) == 64, "a cell is one cache line");

#endif
