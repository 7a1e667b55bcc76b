/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* tc egress: what leaves an uplink is counted under its class, from the mark alone. */
#ifndef WAYMARK_EGRESS_H
#define WAYMARK_EGRESS_H

#include "mark.h"
#include "socket.h"

/* "No opinion": the next program, or filter of a clsact, decides. */
enum { TCX_NEXT = -1 };

/* The uplink that this copy of the program is attached to, and how many there can be. */
const volatile __u32 uplink;
const volatile __u32 uplink_limit;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1); /* set at load: slots * uplink_limit */
	__type(key, __u32);
	__type(value, struct class_counters);
} counters SEC(".maps");

/* A packet with a number that no class has is unclassed: the bits are somebody else's. */
static __always_inline const struct class_entry *class_of(__u32 mark)
{
	__u32 number = class_number(mark), none = 0;
	const struct class_entry *class = bpf_map_lookup_elem(&classes, &number);

	if (class && class->flags & CLASS_IN_USE)
		return class;
	return bpf_map_lookup_elem(&classes, &none);
}

/*
 * The mark that says a packet's class. A datagram whose socket changed class
 * for it (socket.h, sendmsg) still carries the mark from before: its socket
 * knows better. Any other difference was asked for by the sender.
 */
static __always_inline __u32 mark_of(struct __sk_buff *skb)
{
	__u32 carried = skb->mark;
	struct bpf_sock *sk = skb->sk;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (!sk || !((sk->mark ^ carried) & mask))
		return carried;
	return bpf_sk_storage_get(&first_marks, sk, 0, 0) ? sk->mark : carried;
}

static __always_inline void count_egress(struct __sk_buff *skb)
{
	const struct class_entry *class = class_of(mark_of(skb));

	if (!class)
		return;
	__u32 line = class->slot * uplink_limit + uplink;
	struct class_counters *c = bpf_map_lookup_elem(&counters, &line);
	if (!c)
		return;
	__u32 segments = skb->gso_segs ? skb->gso_segs : 1;
	c->packets += segments;
	c->bytes += skb->wire_len;
	if (!(class->uplinks >> (uplink & 63) & 1))
		c->misroutes += segments;
}
#endif
