/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An ICMP error of the kernel behind the host is of the flow that it is about. */
#ifndef WAYMARK_COMPLAINT_H
#define WAYMARK_COMPLAINT_H

#include "ending.h"

enum { ICMP_UNREACHABLE = 3, ICMP_TIME_EXCEEDED = 11, ICMP_BAD_PARAMETER = 12, ICMPV6_IS_NO_ERROR = 128, ICMP_HEADER = 8 };

static __always_inline int is_icmp_error(__u32 proto, __u8 type)
{
	if (proto == IPPROTO_ICMPV6)
		return !(type & ICMPV6_IS_NO_ERROR);
	return proto == IPPROTO_ICMP && (type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED || type == ICMP_BAD_PARAMETER);
}

/* The header of a quoted fragment: only a datagram's first tells of its transport. */
static __always_inline __u32 read_quoted_fragment(struct __sk_buff *skb, struct flow *flow, __u32 at)
{
	__u8 head[8];

	if (load(skb, at, head, sizeof(head)) || head[2] || head[3] & 0xf8)
		return 0;
	flow->proto = head[0];
	return at + sizeof(head);
}

/* The IP header that an error quotes: its flow from the other end. Returns where that's transport is; 0: it is cut short. */
static __always_inline __u32 read_quoted(struct __sk_buff *skb, struct flow *flow, __u32 at)
{
	struct ipv6_header six;
	struct ipv4_header four;

	if (flow->family == AF_INET6) {
		if (load(skb, at, &six, sizeof(six)))
			return 0;
		flow->proto = six.next;
		to_words(&flow->addresses[1], six.source);
		to_words(&flow->addresses[0], six.destination);
		at += sizeof(six);
		return six.next == IPPROTO_FRAGMENT ? read_quoted_fragment(skb, flow, at) : at;
	}
	if (load(skb, at, &four, sizeof(four)))
		return 0;
	flow->proto = four.protocol;
	flow->addresses[1].word[0] = bpf_ntohl(four.source);
	flow->addresses[0].word[0] = bpf_ntohl(four.destination);
	return at + (four.version_length & 15) * 4;
}

/* The ports of a quoted packet, from the other end. Returns whether they are there. */
static __always_inline int read_quoted_ports(struct __sk_buff *skb, struct flow *flow, __u32 transport)
{
	__u16 ports[2];

	if (!transport || load(skb, transport, ports, sizeof(ports)))
		return 0;
	flow->ports[1] = bpf_ntohs(ports[0]);
	flow->ports[0] = bpf_ntohs(ports[1]);
	return 1;
}

/* How the flow was classed that an ICMP error is about; 0: no such one is known. */
static __noinline const struct ending *complained_about(struct __sk_buff *skb)
{
	struct flow flow = {};
	struct layers at = {};
	__u8 type = 0;

	if (!read_layers(skb, &flow, &at) || load(skb, at.transport, &type, sizeof(type)) || !is_icmp_error(flow.proto, type))
		return 0;
	if (!read_quoted_ports(skb, &flow, read_quoted(skb, &flow, at.transport + ICMP_HEADER)))
		return 0;
	return last_words(&flow);
}
#endif
