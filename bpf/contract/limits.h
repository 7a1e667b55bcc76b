/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How many there can be of each, and where the first cells of the table are. */
#ifndef WAYMARK_CONTRACT_LIMITS_H
#define WAYMARK_CONTRACT_LIMITS_H

#include "../kernel/constants.h"

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

#endif
