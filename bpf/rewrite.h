/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Gives a packet another source address. */
#ifndef WAYMARK_REWRITE_H
#define WAYMARK_REWRITE_H

#include "core.h"
#include "packet.h"
#include "tunnel.h"

enum { UDP_CHECKSUM = 6, ICMPV6_CHECKSUM = 2, TCP_CHECKSUM = 16, IPV4_CHECKSUM = 10, IPV4_SOURCE = 12, IPV6_SOURCE = 8 };

static __always_inline void from_words(__u32 to[4], const struct words *from)
{
	for (int i = 0; i < 4; i++)
		to[i] = bpf_ntohl(from->word[i]);
}

/* Whether a packet's transport has a checksum that its addresses are in, and that we know the place of. */
static __always_inline __u32 checksum_of(__u32 proto)
{
	if (proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE)
		return UDP_CHECKSUM;
	if (proto == IPPROTO_TCP)
		return TCP_CHECKSUM; /* a raw socket's */
	return proto == IPPROTO_ICMPV6 ? ICMPV6_CHECKSUM : 0;
}

/* Takes a difference of addresses into the transport's checksum, which a later fragment has not. */
static __always_inline long mend_checksum(struct __sk_buff *skb, const struct flow *flow, const struct layers *at,
					  __u64 old, __u64 fresh, __u64 flags)
{
	if (!checksum_of(flow->proto) || at->fragment == 2)
		return 0;
	if (flow->proto == IPPROTO_UDP)
		flags |= BPF_F_MARK_MANGLED_0;
	return bpf_l4_csum_replace(skb, link_header + at->transport + checksum_of(flow->proto), old, fresh,
				   BPF_F_PSEUDO_HDR | flags);
}

static __always_inline int rewrite4(struct __sk_buff *skb, struct flow *flow, const struct layers *at,
				    const struct uplink_entry *u)
{
	__u32 old = bpf_ntohl(flow->addresses[0].word[0]), fresh = u->source4;

	if (!fresh || mend_checksum(skb, flow, at, old, fresh, sizeof(fresh)))
		return 0;
	if (bpf_l3_csum_replace(skb, link_header + IPV4_CHECKSUM, old, fresh, sizeof(fresh)))
		return 0;
	if (bpf_skb_store_bytes(skb, link_header + IPV4_SOURCE, &fresh, sizeof(fresh), 0))
		return 0;
	flow->addresses[0].word[0] = bpf_ntohl(fresh);
	return 1;
}

static __always_inline int rewrite6(struct __sk_buff *skb, struct flow *flow, const struct layers *at,
				    const struct uplink_entry *u)
{
	__u32 old[4], fresh[4];

	from_words(old, &flow->addresses[0]);
	for (int i = 0; i < 4; i++)
		fresh[i] = u->source6[i];
	if (!fresh[0] || !checksum_of(flow->proto))
		return 0;
	__s64 difference = bpf_csum_diff(old, sizeof(old), fresh, sizeof(fresh), 0);
	if (mend_checksum(skb, flow, at, 0, difference, 0))
		return 0;
	if (bpf_skb_store_bytes(skb, link_header + IPV6_SOURCE, fresh, sizeof(fresh), 0))
		return 0;
	to_words(&flow->addresses[0], fresh);
	return 1;
}

/* The socket whose own packet this is; none for what is forwarded, a tunnel's, or the last of a connection. */
static __always_inline struct bpf_sock *sender_of(struct __sk_buff *skb, __u32 tunnelled)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk || tunnelled)
		return 0;
	return bpf_sk_fullsock(sk);
}

/* Whether a packet is a datagram whose socket is bound to no address, so that the answer to another finds it too. */
__noinline int has_free_source(struct __sk_buff *skb, __u32 tunnelled)
{
	struct bpf_sock *sk = sender_of(skb, tunnelled);

	if (!sk || sk->type == SOCK_STREAM || sk->src_ip4)
		return 0;
	if (sk->family == AF_INET6)
		return !(sk->src_ip6[0] | sk->src_ip6[1] | sk->src_ip6[2] | sk->src_ip6[3]);
	return sk->family == AF_INET;
}

/* Gives such a datagram the source address of the uplink it leaves by. */
static __always_inline int rewrite_source(struct __sk_buff *skb, struct flow *flow, const struct layers *at,
					  const struct uplink_entry *u, __u32 tunnelled)
{
	if (!has_free_source(skb, tunnelled))
		return 0;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return rewrite4(skb, flow, at, u);
	return rewrite6(skb, flow, at, u);
}
#endif
