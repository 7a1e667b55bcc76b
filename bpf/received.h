/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What comes in by an uplink to a class's sockets, as it was on the wire. */
#ifndef WAYMARK_RECEIVED_H
#define WAYMARK_RECEIVED_H

#include "core.h"
#include "count.h"
#include "egress.h"
#include "packet.h"

enum { UDP_HEADER = 8, TCP_DATA_OFFSET = 12 };

/* The size of the headers that each segment of a GRO packet had, from the IP header on. */
static __noinline __u32 headers_of(struct __sk_buff *skb)
{
	struct layers at = {};
	struct flow flow = {};
	__u8 words = 0;

	if (!read_layers(skb, &flow, &at))
		return 0;
	if (flow.proto != IPPROTO_TCP)
		return at.transport + UDP_HEADER;
	if (load(skb, at.transport + TCP_DATA_OFFSET, &words, sizeof(words)))
		return 0;
	return at.transport + (words >> 4) * 4;
}

/* How many packets of the wire one of the kernel's is; a guest's host leaves it to be counted. */
static __always_inline __u32 segments_in(const struct __sk_buff *skb, __u32 headers)
{
	if (skb->gso_segs || !headers || skb->len <= headers)
		return segments_of(skb);
	return (skb->len - headers + skb->gso_size - 1) / skb->gso_size;
}

static __always_inline void count_received(struct __sk_buff *skb, struct class_counters *c, __u32 link)
{
	__u32 headers = skb->gso_size ? headers_of(skb) : 0;
	__u32 segments = segments_in(skb, headers);
	__u64 bytes = skb->len + link + (segments - 1) * (headers + link);

	c->received += segments;
	c->received_bytes += bytes;
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		c->received6 += segments;
		c->received_bytes6 += bytes;
	}
}

/* Raw sockets get copies, and what comes by no uplink is nobody's. */
static __always_inline void receive(struct __sk_buff *skb)
{
	struct owner of = owner_of(skb);
	__u32 mark = of.mark;

	if (!of.type || of.type == SOCK_RAW || skb->ifindex == LOOPBACK || cookie_of_owner(skb) != netns_cookie)
		return;
	if (of.type == SOCK_DGRAM && of.noted)
		mark = noted_mark(skb, mark);
	const struct class_entry *class = class_of(mark);
	if (!class)
		return;
	__u32 number = uplink_of(class, skb->ifindex);
	const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &number);
	if (!u)
		return;
	struct class_counters *c = counters_of(class, number);
	if (c)
		count_received(skb, c, u->link_header);
	if (of.type == SOCK_DGRAM)
		remember_arrival(skb);
}
#endif
