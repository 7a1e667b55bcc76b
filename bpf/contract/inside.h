/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses and networks that no uplink's default route is for, and those that are an uplink's own. */
#ifndef WAYMARK_CONTRACT_INSIDE_H
#define WAYMARK_CONTRACT_INSIDE_H

#include "table.h"

/*
 * A prefix that is the host's own or that main reaches by more than its default, IPv4 as v4-mapped
 * IPv6: `bits` is its length, 1 to 128; an entry with 0 bits ends the list. `by_main` is 1 for one
 * of main's, which come first: its packets may leave by any uplink.
 */
struct inside_prefix {
	struct words prefix;
	__u32 bits;
	__u32 by_main;
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

#endif
