/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which cgroups the policy names, and how a new one is told from the others.
 *
 * `cgroups[v]` maps a cgroup id (the inode of its directory) to the set of
 * matches that name it or a cgroup above it, or no cgroup. The deepest
 * ancestor of the task that has an entry decides; with none it is the
 * header's `no_cgroup`. `cgroup_levels` has bit l set when some entry may be
 * l levels below the cgroup2 root, so that others need no look-up.
 *
 * Where the lowest match of such a set names no other field, it holds whatever
 * else the packet says. Then there is no set: the reference is the match, with
 * SET_DECIDED, and nothing is searched. So most sockets of a host are classed
 * by one look-up, of their cgroup.
 *
 * A cgroup gets its entry when it is made, by a program, and loses it when
 * it is removed; user space puts in those that are there already. Both
 * versions get it, so that none falls between the two: user space puts the
 * next version's maps in their place first, then looks through the tree,
 * and publishes last. Which cgroups have an entry, and which set, says an
 * automaton in the table, which both of them walk:
 *
 * A path is read from below the cgroup root `cgroup_start.root` byte by
 * byte, names parted by '/', with a 0 at its end. A state of the automaton
 * is a tree of branches for one byte. It leads to the next state (REF_NEXT),
 * to a text that has to follow (REF_TEXT), or to a set, where the path ends:
 * set 0 means that no line names the cgroup, by itself or any more. A text
 * compares `length` bytes and goes on to `next`; a set there holds if the
 * path ends there, and is 0 otherwise.
 *
 * Example. One line, {cgroup: a.slice/db-*}. The start is the text
 * "a.slice/db-" that leads to a state in which 0 leads to the line's set,
 * '/' to set 0, and every other byte to the state itself.
 */
#ifndef WAYMARK_CONTRACT_CGROUP_H
#define WAYMARK_CONTRACT_CGROUP_H

#include "table.h"

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

_Static_assert(sizeof(struct cgroup_start) == sizeof(struct table_cell), "the start is one cell");
_Static_assert(sizeof(struct text_cell) == sizeof(struct table_cell), "a text is one cell");

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

#endif
