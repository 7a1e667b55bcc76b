/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the last searches found: the datagrams of a socket to one destination,
 * the packets of one forwarded flow, and the sockets that a cgroup opens are
 * searched for once. (The exact-match
 * cache of Open vSwitch: Pfaff et al., "The Design and Implementation of Open
 * vSwitch", NSDI 2015; nothing is inserted, a place is written over.)
 */
#ifndef WAYMARK_MICROFLOW_H
#define WAYMARK_MICROFLOW_H

#include "search.h"

enum { MICROFLOW_BITS = 10, FLOW_WORDS = sizeof(struct flow) / 8 };
enum { NOT_REMEMBERED = 0xffffffff };

/*
 * One search. A program may interrupt another on its CPU: while one writes,
 * `turn` is odd, and is another when it is done. `generation` is that of the
 * table in force, of which each has its own; `found` is as first_match says it.
 */
struct microflow {
	struct flow flow;
	__u32 cgroup_set;
	__u32 generation;
	__u32 found;
	__u32 turn;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1 << MICROFLOW_BITS);
	__type(key, __u32);
	__type(value, struct microflow);
} microflows SEC(".maps");

typedef __u64 __attribute__((may_alias)) flow_word;

/* The compiler moves nothing across it; a CPU sees its own stores in order. */
#define barrier() __asm__ volatile("" ::: "memory")

/* The place of a search, by a multiplicative hash. */
static __always_inline struct microflow *place_of(__u32 cgroup_set, const struct flow *flow)
{
	const flow_word *words = (const flow_word *)flow;
	__u64 hash = cgroup_set;

#pragma unroll
	for (int i = 0; i < FLOW_WORDS; i++)
		hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ULL;
	__u32 place = hash >> (64 - MICROFLOW_BITS);
	return bpf_map_lookup_elem(&microflows, &place);
}

static __always_inline int is_same_flow(const struct flow *a, const struct flow *b)
{
	const flow_word *x = (const flow_word *)a, *y = (const flow_word *)b;
	__u64 differs = 0;

#pragma unroll
	for (int i = 0; i < FLOW_WORDS; i++)
		differs |= x[i] ^ y[i];
	return !differs;
}

/* What the search for a flow found, or NOT_REMEMBERED. */
__noinline __u32 recall(__u32 generation, __u32 cgroup_set, const struct flow *flow)
{
	struct microflow *m = flow ? place_of(cgroup_set, flow) : 0;

	if (!m)
		return NOT_REMEMBERED;
	__u32 turn = *(volatile __u32 *)&m->turn;
	barrier();
	if (turn & 1 || m->generation != generation || m->cgroup_set != cgroup_set || !is_same_flow(&m->flow, flow))
		return NOT_REMEMBERED;
	__u32 found = m->found;
	barrier();
	return *(volatile __u32 *)&m->turn == turn ? found : NOT_REMEMBERED;
}

__noinline int remember(__u32 generation, __u32 cgroup_set, const struct flow *flow, __u32 found)
{
	struct microflow *m = flow ? place_of(cgroup_set, flow) : 0;

	if (!m)
		return 0;
	__u32 turn = *(volatile __u32 *)&m->turn;
	if (turn & 1 || __sync_val_compare_and_swap(&m->turn, turn, turn + 1) != turn)
		return 0;
	m->flow = *flow;
	m->cgroup_set = cgroup_set;
	m->generation = generation;
	m->found = found;
	barrier();
	*(volatile __u32 *)&m->turn = turn + 2;
	return 0;
}

#endif
