/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet whose class goes by another uplink is asked about, and sent there where its source allows. */
#ifndef WAYMARK_REPAIR_H
#define WAYMARK_REPAIR_H

#include "core.h"
#include "refuse.h"

enum { LOOPBACK = 1 }; /* lo's ifindex, in every network namespace */
enum { UDP_CHECKSUM = 6, ICMPV6_CHECKSUM = 2, IPV4_CHECKSUM = 10, IPV4_SOURCE = 12, IPV6_SOURCE = 8 };

static __always_inline void from_words(__u32 to[4], const struct words *from)
{
	for (int i = 0; i < 4; i++)
		to[i] = bpf_ntohl(from->word[i]);
}

static __always_inline void question(struct bpf_fib_lookup *fib, const struct flow *flow)
{
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->family = flow->family;
	fib->l4_protocol = flow->proto;
	fib->sport = bpf_htons(flow->ports[0]);
	fib->dport = bpf_htons(flow->ports[1]);
	fib->ifindex = LOOPBACK;
	from_words(fib->dst, &flow->addresses[1]);
}

/*
 * The kernel's own route for an IPv4 flow with this mark: by the rules for
 * local packets, which start at lo. Without a source it is the way of the
 * class; with it, the way the rules for that source allow.
 */
static __always_inline long ask4(struct __sk_buff *skb, struct bpf_fib_lookup *fib, const struct flow *flow, __u32 mark,
				 __u32 source)
{
	question(fib, flow);
	fib->mark = mark;
	fib->src[0] = bpf_ntohl(source);
	return bpf_fib_lookup(skb, fib, sizeof(*fib), BPF_FIB_LOOKUP_MARK | BPF_FIB_LOOKUP_SKIP_NEIGH);
}

/* The way of an IPv6 class: the first of its uplinks' tables that has a route. */
static __always_inline long ask6(struct __sk_buff *skb, struct bpf_fib_lookup *fib, const struct flow *flow,
				 const struct class_entry *class)
{
	long answer = BPF_FIB_LKUP_RET_NOT_FWDED;

	for (int i = 0; i < MAX_ROUTE; i++) {
		if (i >= class->hops)
			break;
		__u32 index = class->route[i];
		const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &index);
		if (!u)
			break;
		question(fib, flow);
		fib->table = u->table;
		answer = bpf_fib_lookup(skb, fib, sizeof(*fib),
					BPF_FIB_LOOKUP_DIRECT | BPF_FIB_LOOKUP_TBID | BPF_FIB_LOOKUP_SKIP_NEIGH);
		if (answer != BPF_FIB_LKUP_RET_NOT_FWDED)
			break;
	}
	return answer;
}

/* A way out: an interface and the next hop on it. */
struct way {
	__u32 ifindex;
	struct bpf_redir_neigh hop;
};

static __always_inline struct way way_of(const struct bpf_fib_lookup *fib)
{
	struct way w = {.ifindex = fib->ifindex, .hop.nh_family = fib->family};

	for (int i = 0; i < 4; i++)
		w.hop.nh[i] = fib->dst[i];
	return w;
}

/* The uplink of a class's route that is behind an interface. */
static __always_inline const struct uplink_entry *uplink_at(const struct class_entry *class, __u32 ifindex)
{
	for (int i = 0; i < MAX_ROUTE; i++) {
		if (i >= class->hops)
			break;
		__u32 index = class->route[i];
		const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &index);
		if (u && u->ifindex == ifindex)
			return u;
	}
	return 0;
}

/* Whether an IPv6 source may leave by an interface: it is in no other uplink's /64. */
static __always_inline int source6_fits(const struct flow *flow, __u32 ifindex)
{
	__u32 high = bpf_ntohl(flow->addresses[0].word[0]), low = bpf_ntohl(flow->addresses[0].word[1]);
	__u32 elsewhere = 0;

	for (__u32 i = 0; i < MAX_UPLINKS; i++) {
		if (i >= uplink_limit)
			break;
		__u32 index = i;
		const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &index);
		if (!u || u->source6[0] != high || u->source6[1] != low)
			continue;
		if (u->ifindex == ifindex)
			return 1;
		elsewhere = 1;
	}
	return !elsewhere;
}

/* Whether the rules let a source address leave by the interface that its class goes by. */
static __always_inline int source_fits(struct __sk_buff *skb, struct bpf_fib_lookup *fib, const struct flow *flow, __u32 mark)
{
	__u32 to = fib->ifindex;

	if (flow->family == AF_INET6)
		return source6_fits(flow, to);
	return !ask4(skb, fib, flow, mark, flow->addresses[0].word[0]) && fib->ifindex == to;
}

static __always_inline int rewrite4(struct __sk_buff *skb, struct flow *flow, const struct uplink_entry *u)
{
	__u32 old = bpf_ntohl(flow->addresses[0].word[0]), fresh = u->source4;
	__u8 version_length = 0;

	if (!fresh || load(skb, 0, &version_length, 1))
		return 0;
	__u32 transport = link_header + (version_length & 15) * 4;
	if (flow->proto == IPPROTO_UDP &&
	    bpf_l4_csum_replace(skb, transport + UDP_CHECKSUM, old, fresh, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0 | sizeof(fresh)))
		return 0;
	if (bpf_l3_csum_replace(skb, link_header + IPV4_CHECKSUM, old, fresh, sizeof(fresh)))
		return 0;
	if (bpf_skb_store_bytes(skb, link_header + IPV4_SOURCE, &fresh, sizeof(fresh), 0))
		return 0;
	flow->addresses[0].word[0] = bpf_ntohl(fresh);
	return 1;
}

static __always_inline int rewrite6(struct __sk_buff *skb, struct flow *flow, const struct uplink_entry *u)
{
	__u32 old[4], fresh[4];
	__u8 next = 0;

	from_words(old, &flow->addresses[0]);
	for (int i = 0; i < 4; i++)
		fresh[i] = u->source6[i];
	if (!fresh[0] || load(skb, 6, &next, 1) || (next != IPPROTO_UDP && next != IPPROTO_ICMPV6))
		return 0;
	__u32 checksum = link_header + sizeof(struct ipv6_header) + (next == IPPROTO_UDP ? UDP_CHECKSUM : ICMPV6_CHECKSUM);
	__s64 difference = bpf_csum_diff(old, sizeof(old), fresh, sizeof(fresh), 0);
	if (bpf_l4_csum_replace(skb, checksum, 0, difference, BPF_F_PSEUDO_HDR | (next == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0)))
		return 0;
	if (bpf_skb_store_bytes(skb, link_header + IPV6_SOURCE, fresh, sizeof(fresh), 0))
		return 0;
	to_words(&flow->addresses[0], fresh);
	return 1;
}

/* Whether a packet is a datagram whose socket is bound to no address: an answer finds it wherever it is. */
static __always_inline int may_rewrite(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (!sk || sk->type == SOCK_STREAM || sk->src_ip4)
		return 0;
	if (sk->family != AF_INET && sk->family != AF_INET6)
		return 0;
	return sk->family == AF_INET || !(sk->src_ip6[0] | sk->src_ip6[1] | sk->src_ip6[2] | sk->src_ip6[3]);
}

/* Gives a datagram the source address of the uplink it leaves by. */
static __always_inline int rewrite_source(struct __sk_buff *skb, struct flow *flow, const struct uplink_entry *u)
{
	if (!may_rewrite(skb))
		return 0;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return rewrite4(skb, flow, u);
	return rewrite6(skb, flow, u);
}

/* Why a packet is here and not on its class's uplink, if nothing else explains it. */
static __always_inline __u32 cause_of(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (!sk)
		return CAUSE_LATE;
	struct socket_note *note = bpf_sk_storage_get(&notes, sk, 0, 0);
	if (note && note->flags & NOTE_BEFORE)
		return CAUSE_BEFORE;
	if (!note && (sk->mark ^ skb->mark) & mask)
		return CAUSE_FOREIGN;
	return CAUSE_LATE;
}

/*
 * Whether a packet is tagged, by a VLAN's interface above this one: it
 * leaves by that, and where it goes was decided there.
 */
static __always_inline int is_tagged(const struct __sk_buff *skb)
{
	if (skb->vlan_present && skb->vlan_tci & VLAN_ID)
		return 1;
	return skb->protocol == bpf_htons(ETH_P_8021Q) || skb->protocol == bpf_htons(ETH_P_8021AD);
}

/*
 * Whether the application said where its packets leave: by device, or by
 * answering where it was asked. The kernel's own answers, a SYN-ACK, a RST,
 * the last ACK of a connection, leave where the question came.
 */
static __always_inline int chosen(struct __sk_buff *skb, const struct flow *flow)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	if (!sk || (sk->type == SOCK_RAW && flow->proto == IPPROTO_TCP))
		return 1;
	if (sk->bound_dev_if == skb->ifindex)
		return 1;
	struct socket_note *note = bpf_sk_storage_get(&notes, sk, 0, 0);
	return note && note->flags & NOTE_INBOUND;
}

/*
 * Whether it was the application that said where its packets come from: by
 * a bind, in the header it wrote, or with the datagram. (The kernel notes
 * no bind of a raw socket; but only a connect would give it another source.)
 */
static __always_inline int named_source(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 0;
	if (socket_locks(sk) & SOCK_BINDADDR_LOCK || sk->protocol == IPPROTO_RAW)
		return 1;
	if (sk->type == SOCK_RAW && sk->family == AF_INET)
		return sk->src_ip4 && !sk->dst_ip4;
	if (sk->type == SOCK_RAW)
		return sk->src_ip6[0] && !sk->dst_ip6[0];
	struct socket_note *note = bpf_sk_storage_get(&notes, sk, 0, 0);
	return note && note->flags & NOTE_SOURCE;
}

/* Whether a packet's source is an uplink's address, or for IPv6 in its /64. */
static __always_inline int has_source(const struct uplink_entry *u, const struct flow *flow)
{
	__u32 high = bpf_ntohl(flow->addresses[0].word[0]), low = bpf_ntohl(flow->addresses[0].word[1]);

	if (flow->family == AF_INET6)
		return u->source6[0] == high && u->source6[1] == low;
	return u->source4 == high;
}

/* Whether a packet's source is the address of an uplink, and not of this one. */
static __always_inline int lives_elsewhere(const struct flow *flow)
{
	__u32 elsewhere = 0;

	for (__u32 i = 0; i < MAX_UPLINKS; i++) {
		if (i >= uplink_limit)
			break;
		__u32 index = i;
		const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &index);
		if (!u)
			break;
		__u32 same = has_source(u, flow);
		if (same && i == uplink)
			return 0;
		elsewhere |= same;
	}
	return elsewhere;
}

/*
 * A packet that is on its class's way after all. A datagram that sendmsg
 * gave the address of an uplink that has no route any more is here by a
 * later rule, and gets the address that lives here.
 */
static __always_inline int let_go(struct __sk_buff *skb, struct flow *flow, struct class_counters *c)
{
	__u32 here = uplink;
	const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &here);

	if (u && lives_elsewhere(flow) && !is_tunnelled(skb) && !named_source(skb))
		rewrite_source(skb, flow, u);
	count(skb, c);
	return TCX_NEXT;
}

/*
 * Whether the way is right by all that can be told when the kernel cannot be
 * asked: any uplink of the route passes, and for IPv4 any that main knew the
 * destination by.
 */
static __always_inline int passes(const struct class_entry *class, const struct flow *flow)
{
	if (class->uplinks >> (uplink & 63) & 1)
		return 1;
	if (flow->family != AF_INET || class->flags & CLASS_STRICT)
		return 0;
	struct words destination = mapped(flow->addresses[1].word[0]);

	return is_inside(&destination, 1);
}

/* The cause of a packet that the kernel cannot be asked about: where its source lives says something all the same. */
static __always_inline __u32 cause_unasked(struct __sk_buff *skb, const struct flow *flow, __u32 named, __u32 cause)
{
	__u32 here = uplink;
	const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &here);

	if (!u || !has_source(u, flow))
		return cause;
	if (named)
		return CAUSE_CHOSEN;
	return is_tunnelled(skb) || !may_rewrite(skb) ? CAUSE_PINNED : cause;
}

/* The verdict on a packet whose class goes first by another uplink than this. */
__noinline int off_course(struct __sk_buff *skb, __u32 mark, __u32 cause)
{
	const struct class_entry *class = class_of(mark);
	struct flow flow = {};
	struct bpf_fib_lookup fib;

	if (!class)
		return TCX_NEXT;
	struct class_counters *c = line_of(class);
	if (!c)
		return TCX_NEXT;
	if (is_tagged(skb)) {
		count(skb, c);
		return TCX_NEXT;
	}
	if (cause == CAUSE_UNKNOWN)
		cause = cause_of(skb);
	if (!read_packet(skb, &flow))
		return leave(skb, class, cause);

	__u32 tunnelled = is_tunnelled(skb);
	__u32 six = flow.family == AF_INET6;
	long answer = six ? ask6(skb, &fib, &flow, class) : ask4(skb, &fib, &flow, mark, 0);
	/* For IPv4 the kernel was asked past the class's tables too, down to main. */
	__u32 by_main = six && answer == BPF_FIB_LKUP_RET_NOT_FWDED && !(class->flags & CLASS_NO_LEAK);
	__u32 unasked = answer < 0 || answer > BPF_FIB_LKUP_RET_NOT_FWDED;
	if ((!answer && fib.ifindex == skb->ifindex) || by_main || (six && left_by_more_than_default(skb)) ||
	    (unasked && passes(class, &flow)))
		return let_go(skb, &flow, c);
	if (!tunnelled && chosen(skb, &flow))
		return leave(skb, class, CAUSE_CHOSEN);
	__u32 named = !tunnelled && named_source(skb);
	if (unasked)
		return leave(skb, class, cause_unasked(skb, &flow, named, cause));
	if (answer)
		return leave(skb, class, named ? CAUSE_CHOSEN : CAUSE_NO_ROUTE);

	struct way way = way_of(&fib);
	if (!source_fits(skb, &fib, &flow, mark)) {
		if (named)
			return leave(skb, class, CAUSE_CHOSEN);
		const struct uplink_entry *u = uplink_at(class, way.ifindex);
		if (tunnelled || !u || !rewrite_source(skb, &flow, u))
			return leave(skb, class, CAUSE_PINNED);
	}
	c->misroutes[cause % CAUSES] += segments_of(skb);
	c->repaired += segments_of(skb);
	skb->mark = mark;
	return bpf_redirect_neigh(way.ifindex, &way.hop, sizeof(way.hop), 0);
}

/* The mark of a tunnel's packet: its class is that of what is outside. */
__noinline __u32 outer_mark(struct __sk_buff *skb, __u32 mark)
{
	struct flow flow = {.uid = ~0U};

	if (!has_tuples() || !read_packet(skb, &flow))
		return with_class(mark, 0);
	return with_class(mark, classify_headers(&flow));
}

/* The mark of the class of a packet that no hook of ours has seen; 0: none. */
__noinline __u32 classify_unseen(struct __sk_buff *skb)
{
	struct flow flow = {.uid = ~0U};

	if (!has_tuples() || !read_packet(skb, &flow))
		return 0;
	return classify_packet(skb, &flow);
}
#endif
