/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel drops, and why. */
#ifndef WAYMARK_DROPS_H
#define WAYMARK_DROPS_H

#include "core.h"
#include "count.h"

enum { DROPS = 4096 };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, DROPS);
	__type(key, struct drop_key);
	__type(value, __u64);
} drops SEC(".maps");

/* Whether the tracepoint tells the socket that a packet was for (6.11). */
const volatile __u32 drop_tells_socket;

/* The kernel's number of its reason QUEUE_PURGE; 0: it has none. */
const volatile __u32 queue_purge;

/*
 * Whether it lay in the queue of a socket that ends. The peer's last FIN does, of
 * every connection that this end closes first: it came, and nothing was lost. What
 * a class's mark is on was on its way out, and waited for a neighbour, say.
 */
static __always_inline int was_delivered(const struct sk_buff *skb, __u32 reason)
{
	return queue_purge && reason == queue_purge && !is_classed(skb->mark);
}

static __always_inline int is_ours(const struct sk_buff *skb, const struct sock *sk)
{
	if (sk)
		return sk->__sk_common.skc_net.net->net_cookie == netns_cookie;
	return skb->dev && skb->dev->nd_net.net->net_cookie == netns_cookie;
}

static __always_inline void count_drop(const struct sk_buff *skb, __u64 location, __u32 reason, const struct sock *sk)
{
	__u32 mark = skb->mark;
	__u64 one = 1;

	if (!is_ours(skb, sk) || is_off(OFF_DROPS) || was_delivered(skb, reason))
		return;
	if (sk && is_full(sk) && !is_classed(mark))
		mark = sk->sk_mark;
	const struct class_entry *class = class_of(mark);
	struct drop_key key = {.slot = class ? class->slot : 0, .reason = reason, .location = location};
	__u64 *count = bpf_map_lookup_elem(&drops, &key);
	if (count)
		__sync_fetch_and_add(count, 1);
	else if (bpf_map_update_elem(&drops, &key, &one, BPF_NOEXIST) && (count = bpf_map_lookup_elem(&drops, &key)))
		__sync_fetch_and_add(count, 1);
}
#endif
