/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reads a packet's flow. What is malformed or cut short has none. */
#ifndef WAYMARK_PACKET_H
#define WAYMARK_PACKET_H

#include "extension.h"
#include "match.h"

enum { FRAGMENTS = 1024 };

struct ipv4_header {
	__u8 version_length;
	__u8 tos;
	__u16 total;
	__u16 id;
	__u16 fragment; /* top bits: reserved, don't fragment, more fragments */
	__u8 ttl;
	__u8 protocol;
	__u16 checksum;
	__u32 source;
	__u32 destination;
};

struct ipv6_header {
	__u32 version_flow;
	__u16 payload;
	__u8 next;
	__u8 hop_limit;
	__u32 source[4];
	__u32 destination[4];
};

/* Where in a packet its layers are, from the network header on. */
struct layers {
	__u32 transport;
	__u32 end;	/* the packet's length as its IP header has it */
	__u32 id;	/* of a fragment */
	__u32 fragment; /* 0: whole; 1: the first; 2: a later one, without ports */
};

/*
 * The ports of a datagram's first fragment, for the others. A fragment
 * finds its slot by its datagram's id; another datagram there is told by
 * the addresses, and costs the late fragment its ports, never another's.
 */
struct fragment_ports {
	__u32 family;
	__u32 id;
	__u32 proto;
	__u32 ports[2];
	struct words addresses[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FRAGMENTS);
	__type(key, __u32);
	__type(value, struct fragment_ports);
} fragments SEC(".maps");

/* The size of the header in front of a packet's IP header: 14 on Ethernet, 0 on a tunnel and at the cgroup hooks. */
const volatile __u32 link_header;

/* What this copy's interface is a port of: a bridge or bond, by which its packets come in, or as an uplink a VRF. 0: nothing. */
const volatile __u32 master;

/*
 * From the IP header on. What is relative to it is read from the packet's
 * linear part alone; a driver may leave headers in a fragment.
 */
static __always_inline long load(struct __sk_buff *skb, __u32 offset, void *to, __u32 size)
{
	if (!bpf_skb_load_bytes_relative(skb, offset, to, size, BPF_HDR_START_NET))
		return 0;
	return bpf_skb_load_bytes(skb, link_header + offset, to, size);
}

static __always_inline int has_ports(__u32 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_DCCP;
}

static __always_inline int is_icmp(__u32 proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static __always_inline int same_words(const struct words *a, const struct words *b)
{
	int same = 1;

	for (int i = 0; i < 4; i++)
		same = same && a->word[i] == b->word[i];
	return same;
}

static __always_inline void to_words(struct words *to, const __u32 from[4])
{
	for (int i = 0; i < 4; i++)
		to->word[i] = bpf_ntohl(from[i]);
}

static __always_inline int read_ipv4(struct __sk_buff *skb, struct flow *flow, struct layers *at)
{
	struct ipv4_header h;

	if (load(skb, 0, &h, sizeof(h)) || h.version_length >> 4 != 4)
		return 0;
	at->transport = (h.version_length & 15) * 4;
	at->end = bpf_ntohs(h.total);
	if (!at->end && skb->gso_size)
		at->end = skb->len; /* too long for the header to say */
	if (at->transport < sizeof(h) || at->end < at->transport)
		return 0;

	__u16 fragment = bpf_ntohs(h.fragment);
	at->id = h.id;
	if (fragment & 0x3fff)
		at->fragment = fragment & 0x1fff ? 2 : 1;
	flow->family = AF_INET;
	flow->proto = h.protocol;
	flow->addresses[0].word[0] = bpf_ntohl(h.source);
	flow->addresses[1].word[0] = bpf_ntohl(h.destination);
	return 1;
}

struct extensions {
	struct __sk_buff *skb;
	struct layers *at;
	__u32 next;
	__u32 broken;
};

/* One extension header; returns 1 at the last. */
static long skip_extension(__u32 i, struct extensions *x)
{
	__u8 head[8];

	if (!is_extension(x->next))
		return 1;
	if (x->at->transport + sizeof(head) > x->at->end || load(x->skb, x->at->transport, head, sizeof(head))) {
		x->broken = 1;
		return 1;
	}
	__u32 size = extension_size(x->next, head[1]);
	if (x->next == IPPROTO_FRAGMENT) {
		x->at->fragment = head[2] || head[3] & 0xf8 ? 2 : (head[3] & 1);
		x->at->id = (__u32)head[4] << 24 | head[5] << 16 | head[6] << 8 | head[7];
	}
	x->next = head[0];
	x->at->transport += size;
	return x->at->fragment == 2; /* what follows is data, whatever it looks like */
}

static __always_inline int read_ipv6(struct __sk_buff *skb, struct flow *flow, struct layers *at)
{
	struct ipv6_header h;

	if (load(skb, 0, &h, sizeof(h)) || (h.version_flow & 0xf0) != 0x60)
		return 0;
	at->transport = sizeof(h);
	at->end = sizeof(h) + bpf_ntohs(h.payload);
	if (!h.payload && (h.next == IPPROTO_HOPOPTS || skb->gso_size))
		at->end = skb->len; /* a jumbogram, or a GSO packet like one */

	struct extensions x = {.skb = skb, .at = at, .next = h.next};
	bpf_loop(MAX_EXTENSIONS, skip_extension, &x, 0);
	if (x.broken || at->transport > at->end || (is_extension(x.next) && at->fragment < 2))
		return 0;
	flow->family = AF_INET6;
	flow->proto = x.next;
	to_words(&flow->addresses[0], h.source);
	to_words(&flow->addresses[1], h.destination);
	return 1;
}

static __always_inline int same_datagram(const struct fragment_ports *f, const struct flow *flow, const struct layers *at)
{
	return f->id == at->id && f->family == flow->family && f->proto == flow->proto &&
	       same_words(&f->addresses[0], &flow->addresses[0]) && same_words(&f->addresses[1], &flow->addresses[1]);
}

/* Keeps the first fragment's ports for the later ones, and gives them theirs. */
static __always_inline void share_ports(struct flow *flow, const struct layers *at)
{
	__u32 slot = (at->id ^ at->id >> 16 ^ flow->addresses[0].word[3] ^ flow->addresses[0].word[0]) % FRAGMENTS;
	struct fragment_ports *f = bpf_map_lookup_elem(&fragments, &slot);

	if (!f)
		return;
	if (at->fragment == 2) {
		if (same_datagram(f, flow, at)) {
			flow->ports[0] = f->ports[0];
			flow->ports[1] = f->ports[1];
		}
		return;
	}
	f->family = flow->family;
	f->id = at->id;
	f->proto = flow->proto;
	f->ports[0] = flow->ports[0];
	f->ports[1] = flow->ports[1];
	f->addresses[0] = flow->addresses[0];
	f->addresses[1] = flow->addresses[1];
}

/* Returns whether the packet is whole enough to have a flow. */
__noinline int read_layers(struct __sk_buff *skb, struct flow *flow, struct layers *at)
{
	__u16 ports[2];

	if (!flow || !at)
		return 0;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (!read_ipv4(skb, flow, at))
			return 0;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if (!read_ipv6(skb, flow, at))
			return 0;
	} else {
		return 0;
	}
	if (at->end > skb->len)
		return 0;
	if (has_ports(flow->proto) && at->fragment < 2) {
		if (at->transport + sizeof(ports) > at->end || load(skb, at->transport, ports, sizeof(ports)))
			return 0;
		flow->ports[0] = bpf_ntohs(ports[0]);
		flow->ports[1] = bpf_ntohs(ports[1]);
	}
	if (at->fragment)
		share_ports(flow, at);
	return 1;
}

/* The same for those who do not ask where its layers are. */
static __noinline int read_packet(struct __sk_buff *skb, struct flow *flow)
{
	struct layers at = {};

	return read_layers(skb, flow, &at);
}
#endif
