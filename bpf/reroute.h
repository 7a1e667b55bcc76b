/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flows of classes whose route is what it was, after other uplinks of it
 * can be used than before: one failed, or came back. The rules have sent them
 * by the new way already, all but those whose source is an uplink's own
 * address. What was accepted, and what an application bound, leaves where it
 * was asked or told to; and where a class has no way left, there is nothing
 * to go to: these are left alone.
 */
#ifndef WAYMARK_REROUTE_H
#define WAYMARK_REROUTE_H

#include "fate.h"

static __always_inline int reroutes(void)
{
	return order.usable_before != order.usable;
}

/* The uplinks that a class's new flows take, of those that can be used. */
static __always_inline __u64 ways_among(const struct class_entry *class, __u64 usable)
{
	if (class->flags & CLASS_BALANCED)
		return class->uplinks & usable;
	for (int i = 0; i < MAX_ROUTE; i++) {
		if (i >= class->hops)
			break;
		__u64 way = 1ULL << (class->route[i] & 63);
		if (usable & way)
			return way;
	}
	return 0;
}

enum concern { NO_CONCERN, FOLLOWS_RULES, IS_TIED };

/* What a flow has to do with the change. Which member of a balance it left by, nobody knows. */
__noinline __u32 concern_of(__u64 address, __u32 mark)
{
	const struct class_entry *class = class_of(mark);

	if (!class || !is_classed(mark) || class->flags & CLASS_ANYWHERE)
		return NO_CONCERN;
	__u64 was = ways_among(class, order.usable_before), is = ways_among(class, order.usable);
	if (was == is || !is || is_within_host(address))
		return NO_CONCERN;
	__u64 homes = homes_of(address);
	if (!homes)
		return was && !(class->flags & CLASS_BALANCED) ? FOLLOWS_RULES : NO_CONCERN;
	return homes & is || is_bound((const struct sock *)address) ? NO_CONCERN : IS_TIED;
}

/* The mark of a flow's class: what it carries, or elsewhere what its packets get as they come in. */
static __always_inline __u32 rerouted_mark(__u64 address, __u32 mark, const struct socket_note *note)
{
	return order.elsewhere && !(note && note->flags & NOTE_CLASS) ? classify_socket(address, order.to) : mark;
}

static __noinline void reroute(struct bpf_iter_meta *meta, struct sock_common *sk, __u64 address, __u32 mark)
{
	struct walk_result *r = result();

	__u32 concern = concern_of(address, mark), fate = fate_in(mark);
	if (!r || !concern)
		return;
	if (fate == FATE_RESET) {
		reset_socket(r, meta, sk, mark);
		return;
	}
	struct class_counters *c = line_due(mark);
	if (concern == FOLLOWS_RULES) {
		r->moved++;
		count_moved(mark);
		return;
	}
	if (fate == FATE_MOVE)
		r->pinned++;
	else
		r->kept++;
	if (c)
		c->kept_sockets++;
}
#endif
