/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A class's number in the bits of the fwmark that are ours. */
#ifndef WAYMARK_MARK_H
#define WAYMARK_MARK_H

#include "contract.h"

/*
 * The mask as runs of adjacent bits, lowest first; a run of zero ends the
 * list. The verifier knows these constants, so a mask with three runs costs
 * three ANDs and three shifts, and the rest of the loop is not compiled.
 */
struct mask_run {
	__u32 bits;
	__u32 shift; /* from the run's place in the mark to its place in the number */
};

const volatile __u32 mask;

/* The mask of the instance that this one takes over from, whose bits its sockets lose; else 0. */
const volatile __u32 retired_mask;
const volatile struct mask_run mask_runs[MASK_RUNS];

/* Whether a mark has a number at all: the cheap half of class_number. */
static __always_inline int is_classed(__u32 mark)
{
	return (mark & mask) != 0;
}

static __always_inline __u32 class_number(__u32 mark)
{
	__u32 number = 0;

#pragma unroll
	for (int i = 0; i < MASK_RUNS; i++) {
		if (!mask_runs[i].bits)
			break;
		number |= (mark & mask_runs[i].bits) >> mask_runs[i].shift;
	}
	return number;
}

#endif
