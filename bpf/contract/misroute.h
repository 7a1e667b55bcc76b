/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets on another way than their class's: why, and what became of them. */
#ifndef WAYMARK_CONTRACT_MISROUTE_H
#define WAYMARK_CONTRACT_MISROUTE_H

#include "../kernel/constants.h"

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

#endif
