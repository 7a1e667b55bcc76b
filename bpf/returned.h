/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What answers a borrowed source (borrowed.h) is given its socket's address as it comes in. */
#ifndef WAYMARK_RETURNED_H
#define WAYMARK_RETURNED_H

#include "complaint.h"
#include "rewrite.h"

/* Apart from the protocols, so that a later fragment of ICMP has no ports to anybody else. */
enum { BY_ID = 0x100 };

static __always_inline int is_error(struct __sk_buff *skb, const struct flow *flow, const struct layers *at)
{
	__u8 type = 0;

	return is_icmp(flow->proto) && !at->fragment && !load(skb, at->transport, &type, sizeof(type)) &&
	       is_icmp_error(flow->proto, type);
}

/* Gives the packet in an error its source back. In IPv4 its header's checksum makes up for it; in IPv6 the error's must. */
static __always_inline void rewrite_quoted(struct __sk_buff *skb, const struct layers *at, const struct borrowed *b, __u32 from)
{
	__u32 old[4], fresh[4];

	from_words(old, &b->source);
	from_words(fresh, &b->own);
	if (b->family == AF_INET) {
		bpf_l3_csum_replace(skb, link_header + from + IPV4_CHECKSUM, old[0], fresh[0], sizeof(fresh[0]));
		bpf_skb_store_bytes(skb, link_header + from + IPV4_SOURCE, fresh, sizeof(fresh[0]), 0);
		return;
	}
	__s64 difference = bpf_csum_diff(old, sizeof(old), fresh, sizeof(fresh), 0);
	bpf_l4_csum_replace(skb, link_header + at->transport + ICMPV6_CHECKSUM, 0, difference, 0);
	bpf_skb_store_bytes(skb, link_header + from + IPV6_SOURCE, fresh, sizeof(fresh), 0);
}

/* Reads the flow that an ICMP error is about, from the other end. */
static __always_inline int read_error(struct __sk_buff *skb, struct flow *flow, const struct layers *at)
{
	__u32 transport = read_quoted(skb, flow, at->transport + ICMP_HEADER);

	if (transport && is_icmp(flow->proto))
		return !read_id(skb, transport, flow);
	return read_quoted_ports(skb, flow, transport);
}

/* Gives a flow of ICMP its id, which only the first of a datagram's fragments has. */
static __always_inline int read_answer(struct __sk_buff *skb, struct flow *flow, const struct layers *at)
{
	if (!is_icmp(flow->proto))
		return 1;
	if (at->fragment < 2 && read_id(skb, at->transport, flow))
		return 0;
	flow->proto |= BY_ID;
	if (at->fragment)
		share_ports(flow, at);
	flow->proto &= ~BY_ID;
	return 1;
}

static __noinline int give_back(struct __sk_buff *skb)
{
	struct flow flow = {};
	struct layers at = {};
	__u32 fresh[4];

	if (!read_layers(skb, &flow, &at))
		return 0;
	struct flow answer = flow;
	int error = is_error(skb, &flow, &at);
	if (!(error ? read_error(skb, &answer, &at) : read_answer(skb, &answer, &at)))
		return 0;
	const struct borrowed *b = borrowed_for(&answer, DESTINATION);
	if (!b || !same_words(&b->source, &answer.addresses[DESTINATION]) || !same_words(&b->source, &flow.addresses[DESTINATION]))
		return 0;
	from_words(fresh, &b->own);
	if (flow.family == AF_INET)
		rewrite4(skb, &flow, &at, DESTINATION, fresh[0]);
	else
		rewrite6(skb, &flow, &at, DESTINATION, fresh);
	if (error)
		rewrite_quoted(skb, &at, b, at.transport + ICMP_HEADER);
	return 0;
}

#endif
