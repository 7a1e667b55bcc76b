/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The socket of a packet that has lost it: where a bridge's packets pass the
 * packet filter (br_netfilter), they come in by the bridge without. It is looked
 * for in the network namespaces that the host has numbered, as it has those
 * behind its veths. A bridge's port that has the program itself needs none of this.
 */
#ifndef WAYMARK_BEHIND_H
#define WAYMARK_BEHIND_H

#include "ending.h"
#include "opened.h"

enum { NAMESPACES = 64, NOBODY = ~0U };

/* Whether this copy's interface is a bridge whose packets may have lost their sockets. */
const volatile __u32 filtered;

struct bpf_sock_tuple {
	union {
		struct {
			__u32 saddr, daddr;
			__u16 sport, dport;
		} ipv4;
		struct {
			__u32 saddr[4], daddr[4];
			__u16 sport, dport;
		} ipv6;
	};
};

static struct bpf_sock *(*const bpf_sk_lookup_tcp)(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 size,
						   __u64 netns, __u64 flags) = (void *)84;
static struct bpf_sock *(*const bpf_sk_lookup_udp)(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 size,
						   __u64 netns, __u64 flags) = (void *)85;
static long (*const bpf_sk_release)(struct bpf_sock *sk) = (void *)86;

/* The other end's view: what comes to this flow's socket. Returns the size of the tuple. */
static __always_inline __u32 answers_to(const struct flow *flow, struct bpf_sock_tuple *tuple)
{
	if (flow->family == AF_INET) {
		tuple->ipv4.saddr = bpf_ntohl(flow->addresses[1].word[0]);
		tuple->ipv4.daddr = bpf_ntohl(flow->addresses[0].word[0]);
		tuple->ipv4.sport = bpf_htons(flow->ports[1]);
		tuple->ipv4.dport = bpf_htons(flow->ports[0]);
		return sizeof(tuple->ipv4);
	}
	for (int i = 0; i < 4; i++) {
		tuple->ipv6.saddr[i] = bpf_ntohl(flow->addresses[1].word[i]);
		tuple->ipv6.daddr[i] = bpf_ntohl(flow->addresses[0].word[i]);
	}
	tuple->ipv6.sport = bpf_htons(flow->ports[1]);
	tuple->ipv6.dport = bpf_htons(flow->ports[0]);
	return sizeof(tuple->ipv6);
}

/* To be released. */
static __always_inline struct bpf_sock *look_behind(struct __sk_buff *skb, const struct flow *flow)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk = 0;
	__u32 size = answers_to(flow, &tuple);

	for (__u32 id = 0; id < NAMESPACES && !sk; id++) {
		if (flow->proto == IPPROTO_TCP)
			sk = size == sizeof(tuple.ipv4) ? bpf_sk_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), id, 0)
							: bpf_sk_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), id, 0);
		else
			sk = size == sizeof(tuple.ipv4) ? bpf_sk_lookup_udp(skb, &tuple, sizeof(tuple.ipv4), id, 0)
							: bpf_sk_lookup_udp(skb, &tuple, sizeof(tuple.ipv6), id, 0);
	}
	return sk;
}

static __always_inline int may_be_behind(const struct __sk_buff *skb, const struct flow *flow)
{
	return filtered && !skb->sk && (flow->proto == IPPROTO_TCP || flow->proto == IPPROTO_UDP);
}

/* The set of cgroups of a flow's socket behind the host, whose uid the flow gets; `none` if there is no such socket. */
static __noinline __u32 find_set_behind(struct __sk_buff *skb, struct flow *flow, __u32 version, __u64 levels, __u32 none)
{
	struct bpf_sock *sk = look_behind(skb, flow);

	if (!sk)
		return none;
	__u64 address = address_of(sk);
	READ(flow->uid, ((const struct sock *)address)->sk_uid.val);
	__u32 found = find_socket_cgroup_set(address, version, levels, none);
	bpf_sk_release(sk);
	return found;
}

/*
 * As classify_packet, for a packet that has lost its socket. A flow's last
 * ones may come when the socket itself is gone: they wait for the bridge.
 */
static __noinline __u32 classify_behind(struct __sk_buff *skb, struct flow *flow)
{
	__u32 generation = live_generation(), version = version_of(generation);
	const struct table_header *h = header_of(version);

	if (!h)
		return 0;
	__u32 set = find_set_behind(skb, flow, version, names_cgroups(h) ? h->cgroup_levels : 0, names_cgroups(h) ? h->no_cgroup : 0);
	const struct ending *e = flow->uid == NOBODY ? last_words(flow) : 0;

	if (e)
		return e->class_mark;
	__u32 class_mark = classify_in(version, h, set, flow, generation);

	if (flow->uid != NOBODY)
		remember_ending(flow, class_mark);
	return class_mark;
}
#endif
