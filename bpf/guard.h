/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a process may do to the mark of its classed socket. */
#ifndef WAYMARK_GUARD_H
#define WAYMARK_GUARD_H

#include "egress.h"

/* Counts on the class's line of the first uplink: a refusal happens on none. */
static __always_inline void count_refusal(__u32 mark)
{
	const struct class_entry *class = class_of(mark);

	if (!class)
		return;
	__u32 line = class->slot * uplink_limit;
	struct class_counters *c = bpf_map_lookup_elem(&counters, &line);
	if (c)
		__sync_fetch_and_add(&c->refused, 1);
}

/*
 * SO_MARK on a classed socket: bits outside our mask are the application's,
 * and the class's are put back beside them. Another class's number is not
 * for it to take; its own, or none, is no change.
 */
static __always_inline int guard_mark(struct bpf_sockopt *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	__u32 *value = ctx->optval;

	if (ctx->level != SOL_SOCKET || ctx->optname != SO_MARK || !sk)
		return 1;
	if ((void *)(value + 1) > ctx->optval_end)
		return 1;
	__u32 ours = sk->mark & mask;
	if (!is_classed(ours) || is_whole(*value))
		return 1;
	if (*value & mask && (*value & mask) != ours) {
		count_refusal(ours);
		return 0;
	}
	*value = with_class(*value, ours);
	return 1;
}
#endif
