/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Forwarded packets, and those of containers behind a veth, are classed before
 * the kernel routes them. A container's socket still hangs on its packet here,
 * with its cgroup and uid.
 */
#ifndef WAYMARK_FORWARDED_H
#define WAYMARK_FORWARDED_H

#include "behind.h"
#include "complaint.h"
#include "egress.h"

/* The application's socket that a packet is of; the kernel's own answers have another, or none. */
static __always_inline struct bpf_sock *socket_behind(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	return sk ? bpf_sk_fullsock(sk) : 0;
}

/* How the flow was classed that the kernel behind the host still answers for, whose socket is gone; 0: it is no such packet. */
static __always_inline const struct ending *words_of(struct __sk_buff *skb, const struct flow *flow)
{
	if (is_icmp(flow->proto))
		return complained_about(skb);
	return flow->proto == IPPROTO_TCP ? last_words(flow) : 0;
}

/* The class of a packet: what its flow was kept in, or what the table says. */
static __always_inline __u32 class_of_packet(struct __sk_buff *skb, struct bpf_sock *sk, struct flow *flow)
{
	struct socket_note *note = sk && sk->dst_port ? bpf_sk_storage_get(&notes, sk, 0, 0) : 0;

	return note && note->flags & NOTE_CLASS ? note->class_mark : classify_packet(skb, flow);
}

static __always_inline int ingress_impl(struct __sk_buff *skb)
{
	struct flow flow = {
		.iif = master ? master : skb->ifindex,
		.uid = skb->sk ? bpf_get_socket_uid(skb) : NOBODY,
	};
	__u32 class_mark;

	/* What is tagged comes in once more, by the VLAN's own interface. */
	if (skb->vlan_present && skb->vlan_tci & VLAN_ID)
		return TCX_NEXT;
	if (is_classed(skb->mark) || is_whole(skb->mark) || !read_packet(skb, &flow))
		return TCX_NEXT;
	struct bpf_sock *sk = socket_behind(skb);
	int behind = may_be_behind(skb, &flow), orphan = !behind && (!sk || sk->type == SOCK_RAW);
	const struct ending *e = orphan ? words_of(skb, &flow) : 0;
	class_mark = behind ? classify_behind(skb, &flow) : e ? e->class_mark : class_of_packet(skb, sk, &flow);
	if (sk && !orphan && may_end(sk, &flow))
		remember_ending(&flow, class_mark);
	if (class_mark)
		skb->mark = with_class(skb->mark, class_mark);
	skb->tc_index = class_number(class_mark) << 1 & 0xffff; /* for an answer, whose mark will be its uplink's */
	return TCX_NEXT;
}
#endif
