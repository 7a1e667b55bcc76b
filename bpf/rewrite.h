/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Gives a packet another address, most often a source. */
#ifndef WAYMARK_REWRITE_H
#define WAYMARK_REWRITE_H

#include "borrowed.h"
#include "core.h"
#include "packet.h"
#include "tunnel.h"

enum { UDP_CHECKSUM = 6, ICMPV6_CHECKSUM = 2, TCP_CHECKSUM = 16, IPV4_CHECKSUM = 10, IPV4_SOURCE = 12, IPV6_SOURCE = 8 };
enum { SOURCE = 0, DESTINATION = 1 };

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

static __always_inline int rewrite4(struct __sk_buff *skb, struct flow *flow, const struct layers *at, __u32 which,
				    __u32 fresh)
{
	__u32 old = bpf_ntohl(flow->addresses[which].word[0]);

	if (!fresh || mend_checksum(skb, flow, at, old, fresh, sizeof(fresh)))
		return 0;
	if (bpf_l3_csum_replace(skb, link_header + IPV4_CHECKSUM, old, fresh, sizeof(fresh)))
		return 0;
	if (bpf_skb_store_bytes(skb, link_header + IPV4_SOURCE + which * sizeof(fresh), &fresh, sizeof(fresh), 0))
		return 0;
	flow->addresses[which].word[0] = bpf_ntohl(fresh);
	return 1;
}

/* The sum over a packet that its driver made, of what comes in, has the difference once too often (BPF_F_IPV6 has it not; 6.16). */
static __always_inline int rewrite6(struct __sk_buff *skb, struct flow *flow, const struct layers *at, __u32 which,
				    __u32 fresh[4])
{
	__u32 old[4];

	from_words(old, &flow->addresses[which]);
	if (!fresh[0] || !checksum_of(flow->proto))
		return 0;
	__s64 difference = bpf_csum_diff(old, sizeof(old), fresh, sizeof(old), 0);
	if (mend_checksum(skb, flow, at, 0, difference, 0))
		return 0;
	if (at->fragment < 2)
		bpf_csum_update(skb, difference);
	if (bpf_skb_store_bytes(skb, link_header + IPV6_SOURCE + which * sizeof(old), fresh, sizeof(old), 0))
		return 0;
	to_words(&flow->addresses[which], fresh);
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

static __always_inline int is_connected(struct bpf_sock *sk)
{
	return sk->dst_port | sk->dst_ip4 | sk->dst_ip6[0] | sk->dst_ip6[1] | sk->dst_ip6[2] | sk->dst_ip6[3];
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

static __always_inline int is_unheard(struct bpf_sock *sk)
{
	return sk->type == SOCK_RAW || sk->protocol == IPPROTO_UDPLITE;
}

/* Whether a packet is of a socket that connected unheard, so that it may borrow the address of an interface it leaves by. */
__noinline int may_borrow(struct __sk_buff *skb, const struct flow *flow, __u32 ifindex, __u32 tunnelled)
{
	struct bpf_sock *sk = sender_of(skb, tunnelled);

	if (!sk || !flow || !is_unheard(sk) || !is_connected(sk))
		return 0;
	if (!checksum_of(flow->proto) && flow->proto != IPPROTO_ICMP)
		return 0; /* nothing tells who is answered */
	return flow->family == AF_INET6 || !filters_strictly(address_of(sk), ifindex);
}

/* Gives such packets the source address of the uplink they leave by. */
static __always_inline int rewrite_source(struct __sk_buff *skb, struct flow *flow, const struct layers *at,
					  const struct uplink_entry *u, __u32 tunnelled)
{
	__u32 borrows = !has_free_source(skb, tunnelled), fresh[4] = {u->source6[0], u->source6[1], u->source6[2], u->source6[3]};
	struct words own = flow->addresses[SOURCE];

	if (borrows && !may_borrow(skb, flow, u->ifindex, tunnelled))
		return 0;
	if (!(flow->family == AF_INET ? rewrite4(skb, flow, at, SOURCE, u->source4) : rewrite6(skb, flow, at, SOURCE, fresh)))
		return 0;
	if (borrows)
		note_borrowed(skb, at, flow, &own);
	return 1;
}
#endif
