/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What comes in by an uplink, and what of it to a class's sockets, as it was on the wire. */
#ifndef WAYMARK_RECEIVED_H
#define WAYMARK_RECEIVED_H

#include "core.h"
#include "count.h"
#include "egress.h"
#include "packet.h"
#include "returned.h"

enum { UDP_HEADER = 8, TCP_DATA_OFFSET = 12, PACKET_HOST = 0 };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_UPLINKS);
	__type(key, __u32);
	__type(value, struct incoming_volumes);
} incoming SEC(".maps");

/* No program's: what user space has told of the rest, which is not to be less when it is next told. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_UPLINKS);
	__type(key, __u32);
	__type(value, struct volumes);
} incoming_told SEC(".maps");

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

/*
 * A packet of the kernel's as it was on the wire. `length` is that from the IP header
 * on. How many segments it has, a guest's host leaves to be counted.
 */
static __always_inline struct volume on_wire(struct __sk_buff *skb, __u32 length, __u32 link)
{
	__u32 headers = skb->gso_size ? headers_of(skb) : 0, segments = segments_of(skb);

	if (!skb->gso_segs && headers && length > headers)
		segments = (length - headers + skb->gso_size - 1) / skb->gso_size;
	return (struct volume){segments, length + link + (__u64)(segments - 1) * (headers + link)};
}

static __always_inline int is_ipv6(const struct __sk_buff *skb)
{
	return skb->protocol == bpf_htons(ETH_P_IPV6);
}

static __always_inline void add(struct volumes *to, const struct __sk_buff *skb, const struct volume *v)
{
	struct volume *family = is_ipv6(skb) ? &to->ipv6 : &to->ipv4;

	family->packets += v->packets;
	family->bytes += v->bytes;
}

/* Whether a packet is a fragment, as its first header has it. */
static __always_inline int is_fragment(const struct __sk_buff *skb)
{
	const __u8 *header = (const __u8 *)(long)skb->data + link_header;

	if ((const void *)header + 8 > (const void *)(long)skb->data_end)
		return 0;
	if (is_ipv6(skb))
		return header[6] == IPPROTO_FRAGMENT;
	return skb->protocol == bpf_htons(ETH_P_IP) && (header[6] & 0x3f || header[7]); /* all but "don't fragment" */
}

/* Everything that comes in by the uplink of this copy, before the kernel has looked at it. */
static __always_inline void enter(struct __sk_buff *skb)
{
	__u32 number = uplink;
	struct incoming_volumes *in = bpf_map_lookup_elem(&incoming, &number);

	if (in) {
		struct volume v = on_wire(skb, skb->len - link_header, link_header);
		add(&in->all, skb, &v);
	}
	skb->tc_index = TAG_INCOMING | uplink << 1 | (is_fragment(skb) ? TAG_FRAGMENT : 0);
	if (unlikely(lends()))
		give_back(skb);
}

/* For a packet that came in by an uplink to a class's socket, and to none but this. */
static __always_inline void count_received(struct __sk_buff *skb, const struct class_entry *class, __u32 number, __u32 link)
{
	struct class_counters *c = counters_of(class, number);
	struct incoming_volumes *in = bpf_map_lookup_elem(&incoming, &number);
	struct volume v = on_wire(skb, skb->len, link);

	if (!c || !in)
		return;
	add(&in->classed, skb, &v);
	c->received += v.packets;
	c->received_bytes += v.bytes;
	if (is_ipv6(skb)) {
		c->received6 += v.packets;
		c->received_bytes6 += v.bytes;
	}
}

/* Raw sockets get copies, and what comes by no uplink is nobody's. */
static __always_inline void receive(struct __sk_buff *skb)
{
	__u32 tag = skb->tc_index, number = tag >> 1 & (MAX_UPLINKS - 1);

	if ((tag & TAG_KIND) != TAG_INCOMING)
		return;
	struct owner of = owner_of(skb);
	__u32 mark = of.mark;
	if (!of.type || of.type == SOCK_RAW || cookie_of_owner(skb) != netns_cookie)
		return;
	/* A tunnel's, or a VLAN's, above the uplink came in by that. */
	const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &number);
	if (!u || (skb->ifindex != u->ifindex && skb->ifindex != u->vrf))
		return;
	if (of.type == SOCK_DGRAM && of.noted)
		mark = noted_mark(skb, mark);
	const struct class_entry *class = class_of(mark);
	if (class && class->slot && !(tag & TAG_FRAGMENT) && skb->pkt_type == PACKET_HOST)
		count_received(skb, class, number, u->link_header);
	if (of.type == SOCK_DGRAM && !of.connected)
		remember_arrival(skb, number);
}
#endif
