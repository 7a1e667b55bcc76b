/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Why a packet is not on its class's way: what its application chose, and where its source lives. */
#ifndef WAYMARK_CAUSE_H
#define WAYMARK_CAUSE_H

#include "course.h"
#include "home.h"

/* Whether a source may leave by an interface: it is no other uplink's, by what user space knows of them. */
__noinline int source_is_free(const struct flow *flow, __u32 ifindex)
{
	__u32 elsewhere = 0;

	if (!flow)
		return 0;
	__u64 homes = homes_of_source(flow);
	for (__u32 i = 0; i < MAX_UPLINKS; i++) {
		if (i >= uplink_limit)
			break;
		__u32 index = i;
		const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &index);
		if (!u || !has_source(i, homes, flow))
			continue;
		if (u->ifindex == ifindex)
			return 1;
		elsewhere = 1;
	}
	return !elsewhere;
}

/* Whether the rules let a source address leave by the interface that its class goes by; without rules, whether it is no other's. */
static __always_inline int source_fits(struct __sk_buff *skb, struct bpf_fib_lookup *fib, const struct flow *flow, __u32 mark,
				       __u32 unruled)
{
	__u32 to = fib->ifindex;

	if (flow->family == AF_INET6 || unruled)
		return source_is_free(flow, to);
	return !ask4(skb, fib, flow, mark, flow->addresses[0].word[0]) && fib->ifindex == to;
}

/*
 * Why a packet is here and not on its class's uplink, if nothing else
 * explains it. A datagram that was routed with the mark that it has now,
 * and with no route from earlier, is here because its sender named the
 * interface beside it (IP_PKTINFO, IP_UNICAST_IF).
 */
__noinline int cause_of(struct __sk_buff *skb, const struct flow *flow, __u32 tunnelled)
{
	struct bpf_sock *sk = sender_of(skb, tunnelled);

	if (!sk || !flow)
		return CAUSE_LATE;
	struct socket_note *note = bpf_sk_storage_get(&notes, sk, 0, 0);
	if (note && note->flags & NOTE_BEFORE)
		return CAUSE_BEFORE;
	if (note)
		return sent_flags(sk, note, flow) & NOTE_DEVICE ? CAUSE_CHOSEN : CAUSE_LATE;
	if ((sk->mark ^ skb->mark) & mask)
		return CAUSE_FOREIGN;
	return sk->type == SOCK_STREAM || is_connected(sk) ? CAUSE_LATE : CAUSE_CHOSEN;
}

/* Whether the kernel made a packet by itself: a SYN-ACK, a RST, the last ACK of a connection, all of ICMP. Some have no socket, and have come in by no interface. */
static __always_inline int made_by_kernel(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return !skb->ingress_ifindex;
	sk = bpf_sk_fullsock(sk);
	return !sk || (sk->type == SOCK_RAW && is_kernels(sk));
}

/*
 * Whether the application said where its packets leave: by device, by interface, or by VRF, or by
 * answering where it was asked. The kernel's own answers leave where the question came.
 */
static __always_inline int chosen(struct __sk_buff *skb, const struct flow *flow, __u32 tunnelled)
{
	struct bpf_sock *sk = skb->sk;

	if (tunnelled)
		return 0;
	if (made_by_kernel(skb))
		return 1;
	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 0;
	if (sk->bound_dev_if && (sk->bound_dev_if == skb->ifindex || sk->bound_dev_if == master))
		return 1;
	if (unicast_device(sk, flow->family) == skb->ifindex)
		return 1;
	struct socket_note *note = bpf_sk_storage_get(&notes, sk, 0, 0);
	return note && note->flags & NOTE_INBOUND;
}

/*
 * Whether a raw socket was bound to its source. The kernel notes it for IPv6; for IPv4 it
 * is known of what connecting would not have given it: this uplink's own for datagrams.
 */
static __always_inline int is_raw_bound(struct bpf_sock *sk)
{
	const struct inet_sock *inet = (const struct inet_sock *)address_of(sk);
	__u32 here = uplink, bound = 0;
	const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &here);

	if (sk->family == AF_INET)
		return sk->src_ip4 && !(sk->dst_ip4 && u && u->source4 == sk->src_ip4);
	READ(bound, inet->inet_saddr);
	return bound != 0;
}

/* Whether a flow's source is its socket's own, and not one that was named beside a datagram. */
static __always_inline int is_own(struct bpf_sock *sk, const struct flow *flow)
{
	__u32 six[4] = {sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2], sk->src_ip6[3]};
	struct words own;

	if (flow->family == AF_INET)
		return flow->addresses[0].word[0] == bpf_ntohl(sk->src_ip4);
	to_words(&own, six);
	return same_words(&own, &flow->addresses[0]);
}

/*
 * Whether it was the application that said where its packets come from: by
 * a bind, in the header it wrote, or with the datagram.
 */
__noinline int named_source(struct __sk_buff *skb, const struct flow *flow, __u32 tunnelled)
{
	struct bpf_sock *sk = sender_of(skb, tunnelled);

	if (!sk || !flow)
		return 0;
	if (socket_locks(sk) & SOCK_BINDADDR_LOCK || sk->protocol == IPPROTO_RAW)
		return 1;
	if (is_connected(sk) && !is_own(sk, flow))
		return 1;
	if (sk->type == SOCK_RAW)
		return is_raw_bound(sk);
	struct socket_note *note = bpf_sk_storage_get(&notes, sk, 0, 0);
	return note && sent_flags(sk, note, flow) & NOTE_SOURCE;
}

/* Whether a packet's source is one that the rules send by this uplink, whatever its class. */
static __always_inline int lives_here(struct __sk_buff *skb, struct bpf_fib_lookup *fib, const struct flow *flow, __u32 mark)
{
	if (flow->family == AF_INET)
		return !ask4(skb, fib, flow, mark, flow->addresses[0].word[0]) && fib->ifindex == skb->ifindex;
	return has_source(uplink, homes_of_source(flow), flow);
}

/* The cause of a packet that the kernel cannot be asked about: where its source lives says something all the same. */
static __always_inline __u32 cause_unasked(struct __sk_buff *skb, const struct flow *flow, __u32 named, __u32 cause, __u32 tunnelled)
{
	if (!has_source(uplink, homes_of_source(flow), flow))
		return cause;
	if (named)
		return CAUSE_CHOSEN;
	return has_free_source(skb, tunnelled) ? cause : CAUSE_PINNED;
}

#endif
