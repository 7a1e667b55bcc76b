/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the hook decided of a datagram, for tc egress: the threads of a socket send side by side. */
#ifndef WAYMARK_SENT_H
#define WAYMARK_SENT_H

#include "mark.h"
#include "search.h"

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __s32);
	__type(value, struct sent_datagrams);
} sent SEC(".maps");

enum { SENT_FLAGS = NOTE_SOURCE | NOTE_DEVICE, SENT_HASH = ~0xffU };

/* Who a datagram is for, by a multiplicative hash. */
static __always_inline __u32 hash_of_peer(const struct flow *flow)
{
	__u32 hash = flow->ports[1];

	for (int i = 0; i < 4; i++)
		hash = (hash ^ flow->addresses[1].word[i]) * 0x9e3779b1U;
	return hash;
}

static __always_inline void note_sent(struct bpf_sock *sk, const struct flow *flow, __u32 mark_of_class, __u32 flags)
{
	struct sent_datagrams *d = bpf_sk_storage_get(&sent, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	__u32 hash = hash_of_peer(flow);

	if (d)
		d->to[hash >> (32 - SENT_BITS)] = (__u64)((hash & SENT_HASH) | flags) << 32 | (mark_of_class & mask);
}

/* 0: it is not known. What is connected is not noted, whatever was sent before. */
static __always_inline __u64 sent_to(struct bpf_sock *sk, const struct flow *flow)
{
	__u32 hash = hash_of_peer(flow);
	struct sent_datagrams *d = sk->dst_port ? 0 : bpf_sk_storage_get(&sent, sk, 0, 0);

	if (!d)
		return 0;
	__u64 datagram = *(const volatile __u64 *)&d->to[hash >> (32 - SENT_BITS)];
	return (datagram >> 32 ^ hash) & SENT_HASH ? 0 : datagram;
}

/* The flags of a datagram, or else of the last one. */
static __always_inline __u32 sent_flags(struct bpf_sock *sk, const struct socket_note *note, const struct flow *flow)
{
	__u64 datagram = sent_to(sk, flow);

	return datagram ? datagram >> 32 & SENT_FLAGS : note->flags;
}

#endif
