/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel behind the host still says for a flow whose socket is gone is classed as the flow was. */
#ifndef WAYMARK_ENDING_H
#define WAYMARK_ENDING_H

#include "arrival.h"
#include "packet.h"

enum { TCP_ESTABLISHED = 1 };

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

/* Whether a flow's packet may be its last: a connection is opening or closing, and its established packets cost nothing. */
static __always_inline int may_end(const struct bpf_sock *sk, const struct flow *flow)
{
	return flow->proto == IPPROTO_UDP || (flow->proto == IPPROTO_TCP && sk->state != TCP_ESTABLISHED);
}

static __always_inline int is_of(const struct ending *e, const struct flow *flow)
{
	int same = e->family == flow->family && e->proto == flow->proto;

	for (int i = 0; i < 2; i++)
		same = same && e->ports[i] == flow->ports[i] && same_words(&e->addresses[i], &flow->addresses[i]);
	return same;
}

static __always_inline void remember_ending(const struct flow *flow, __u32 class_mark)
{
	struct ending *e = ending_of(flow);

	if (!e)
		return;
	if (!is_of(e, flow)) {
		e->family = 0; /* nobody's, while it is being written */
		for (int i = 0; i < 2; i++) {
			e->addresses[i] = flow->addresses[i];
			e->ports[i] = flow->ports[i];
		}
		e->proto = flow->proto;
	}
	e->class_mark = class_mark;
	e->seconds = coarse_seconds();
	e->family = flow->family;
}

/* How the flow was classed that a packet without a socket belongs to; 0: no such one is known. */
static __noinline const struct ending *last_words(const struct flow *flow)
{
	const struct ending *e = ending_of(flow);

	return e && is_of(e, flow) && coarse_seconds() - e->seconds < LAST_WORDS ? e : 0;
}
#endif
