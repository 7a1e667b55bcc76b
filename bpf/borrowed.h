/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * No hook sees a raw socket connect, or one of UDP-Lite: it is given the address
 * of main's uplink. What its class sends by another one borrows that one's
 * address, and what answers gets the socket's back as it comes in (returned.h).
 */
#ifndef WAYMARK_BORROWED_H
#define WAYMARK_BORROWED_H

#include "arrival.h"

/* A query of ICMP is answered within the minute that NATs give it (RFC 5508). */
enum { BORROWED = 1024, BORROWED_LATEST = BORROWED, BORROWED_FOR = 60 };

/*
 * Who borrows. The slot is a hash of peer and ports; another flow that takes it costs this
 * one its answers until it sends again. After them comes one whose `seconds` alone are written.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BORROWED + 1);
	__type(key, __u32);
	__type(value, struct borrowed);
} borrowed SEC(".maps");

enum { ICMP_ID = 4 };

static __always_inline __u32 borrowed_slot(const struct words *peer, __u32 peer_port, __u32 local_port)
{
	return arrival_slot(peer, peer_port, local_port) % BORROWED;
}

static __always_inline struct borrowed *borrowed_at(__u32 slot)
{
	return bpf_map_lookup_elem(&borrowed, &slot);
}

static __always_inline int is_lately(const struct borrowed *b)
{
	return b->seconds && coarse_seconds() - b->seconds < BORROWED_FOR;
}

/* Whether anything was borrowed lately: most hosts never do, and have no more to ask. */
static __always_inline int lends(void)
{
	const struct borrowed *latest = borrowed_at(BORROWED_LATEST);

	return latest && unlikely(latest->seconds) && is_lately(latest);
}

/* What was borrowed for a flow, whose end number `near` is the host's; 0: nothing was. */
static __always_inline const struct borrowed *borrowed_for(const struct flow *flow, __u32 near)
{
	__u32 far = 1 - near;
	const struct borrowed *b = borrowed_at(borrowed_slot(&flow->addresses[far], flow->ports[far], flow->ports[near]));

	if (!b || b->family != flow->family || b->proto != flow->proto || !is_lately(b))
		return 0;
	if (b->ports[0] != flow->ports[near] || b->ports[1] != flow->ports[far])
		return 0;
	return same_words(&b->peer, &flow->addresses[far]) ? b : 0;
}

/* Gives a flow of ICMP its id for both ports, from the place in a packet where its transport is. */
static __always_inline long read_id(struct __sk_buff *skb, __u32 transport, struct flow *flow)
{
	__u16 id = 0;
	long broken = load(skb, transport + ICMP_ID, &id, sizeof(id));

	flow->ports[0] = flow->ports[1] = bpf_ntohs(id);
	return broken;
}

/* Notes of a packet whose source was replaced which one was the socket's. */
static __noinline int note_borrowed(struct __sk_buff *skb, const struct layers *at, struct flow *sent, const struct words *own)
{
	struct flow flow = *sent;

	if (at->fragment == 2 || (is_icmp(flow.proto) && read_id(skb, at->transport, &flow)))
		return 0;
	struct borrowed *b = borrowed_at(borrowed_slot(&flow.addresses[1], flow.ports[1], flow.ports[0]));
	struct borrowed *latest = borrowed_at(BORROWED_LATEST);
	if (!b || !latest)
		return 0;
	b->family = 0; /* nobody's, while it is being written */
	b->peer = flow.addresses[1];
	b->source = flow.addresses[0];
	b->own = *own;
	b->ports[0] = flow.ports[0];
	b->ports[1] = flow.ports[1];
	b->proto = flow.proto;
	b->seconds = latest->seconds = coarse_seconds();
	b->family = flow.family;
	return 0;
}

#endif
