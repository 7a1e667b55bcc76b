/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel behind the host still says for a connection whose socket is gone is classed as the connection was. */
#ifndef WAYMARK_ENDING_H
#define WAYMARK_ENDING_H

#include "packet.h"

enum { TCP_ESTABLISHED = 1, SECOND = 1000000000 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ENDINGS);
	__type(key, __u32);
	__type(value, struct ending);
} endings SEC(".maps");

static __always_inline struct ending *ending_of(const struct flow *flow)
{
	__u32 hash = flow->ports[0] << 16 | flow->ports[1];

	for (int i = 0; i < 4; i++)
		hash ^= flow->addresses[0].word[i] ^ flow->addresses[1].word[i];
	__u32 slot = hash * 0x9e3779b1U >> 20;
	return bpf_map_lookup_elem(&endings, &slot);
}

static __always_inline __u32 seconds_now(void)
{
	return bpf_ktime_get_ns() / SECOND;
}

/* Whether a connection is opening or closing: its established packets cost nothing. */
static __always_inline int is_turning(const struct bpf_sock *sk, const struct flow *flow)
{
	return flow->proto == IPPROTO_TCP && sk->state != TCP_ESTABLISHED;
}

static __always_inline void remember_ending(const struct flow *flow, __u32 class_mark)
{
	struct ending *e = ending_of(flow);

	if (!e)
		return;
	e->family = 0; /* nobody's, while it is being written */
	for (int i = 0; i < 2; i++) {
		e->addresses[i] = flow->addresses[i];
		e->ports[i] = flow->ports[i];
	}
	e->class_mark = class_mark;
	e->seconds = seconds_now();
	e->family = flow->family;
}

static __always_inline int is_of(const struct ending *e, const struct flow *flow)
{
	int same = e->family == flow->family;

	for (int i = 0; i < 2; i++) {
		same = same && e->ports[i] == flow->ports[i];
		for (int k = 0; k < 4; k++)
			same = same && e->addresses[i].word[k] == flow->addresses[i].word[k];
	}
	return same;
}

/* How the connection was classed that a TCP packet without a socket belongs to; 0: no such one is known. */
static __noinline const struct ending *last_words(const struct flow *flow)
{
	const struct ending *e = ending_of(flow);

	return e && is_of(e, flow) && seconds_now() - e->seconds < LAST_WORDS ? e : 0;
}
#endif
