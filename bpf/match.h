/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The class that a flow belongs to, by the version of the table in force. */
#ifndef WAYMARK_MATCH_H
#define WAYMARK_MATCH_H

#include "microflow.h"
#include "switches.h"

enum { MAX_CGROUP_LEVELS = 64 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} live SEC(".maps");

struct cgroup_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u32);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct cgroup_map);
} cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2 * HIT_MATCHES);
	__type(key, __u32);
	__type(value, __u64);
} hits SEC(".maps");

/* No program's: see struct match_line. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2 * HIT_MATCHES);
	__type(key, __u32);
	__type(value, struct match_line);
} matches SEC(".maps");

/* The ancestors of a cgroup that some match may name, and the set of the deepest that one does. */
struct ancestry {
	void *of; /* a packet, or the kernel's cgroup; none for the current task */
	void *sets;
	__u64 levels; /* those yet to be asked */
	__u32 set;
};

static __always_inline __u32 next_level(struct ancestry *a)
{
	__u32 level = lowest_bit(a->levels);

	a->levels &= a->levels - 1;
	return level;
}

/* Returns 1 at the last, or below the cgroup itself. */
static __always_inline long ask_ancestor(struct ancestry *a, __u64 id)
{
	__u32 *set = id ? bpf_map_lookup_elem(a->sets, &id) : 0;

	if (set)
		a->set = *set;
	return !id || !a->levels;
}

/* The first is asked without a loop: most policies name one level. */
static __always_inline __u32 deepest_set(struct ancestry *a, long (*ask)(__u32 i, struct ancestry *a))
{
	if (a->sets && a->levels && !ask(0, a))
		bpf_loop(MAX_CGROUP_LEVELS, ask, a, 0);
	return a->set;
}

static long ask_task_ancestor(__u32 i, struct ancestry *a)
{
	return ask_ancestor(a, bpf_get_current_ancestor_cgroup_id(next_level(a)));
}

static long ask_packet_ancestor(__u32 i, struct ancestry *a)
{
	return ask_ancestor(a, bpf_skb_ancestor_cgroup_id(a->of, next_level(a)));
}

__noinline __u32 find_task_cgroup_set(__u32 version, __u64 levels, __u32 none)
{
	struct ancestry a = {.sets = bpf_map_lookup_elem(&cgroups, &version), .levels = levels, .set = none};

	return deepest_set(&a, ask_task_ancestor);
}

__noinline __u32 find_packet_cgroup_set(struct __sk_buff *skb, __u32 version, __u64 levels, __u32 none)
{
	struct ancestry a = {skb, bpf_map_lookup_elem(&cgroups, &version), levels, none};

	return deepest_set(&a, ask_packet_ancestor);
}

static __always_inline const struct table_header *header_of(__u32 version)
{
	void *table = table_of(version);

	return table ? cell_at(table, 0) : 0;
}

/* The generation of the table in force: its lowest bit is the version. */
static __always_inline __u32 live_generation(void)
{
	__u32 zero = 0, *generation = bpf_map_lookup_elem(&live, &zero);

	return generation ? *generation : 0;
}

static __always_inline __u32 version_of(__u32 generation)
{
	return generation & 1;
}

static __always_inline __u32 verdict_of(__u32 version, const struct table_header *h, __u32 match)
{
	void *table = table_of(version);
	const __u32 *verdicts = table ? cell_at(table, h->verdicts + match / 16) : 0;

	return verdicts ? verdicts[match & 15] : 0;
}

static __always_inline void hit(__u32 version, __u32 match)
{
	__u32 line = (version & 1) * HIT_MATCHES + match;

	if (match >= HIT_MATCHES || is_off(OFF_HITS))
		return;
	__u64 *won = bpf_map_lookup_elem(&hits, &line);
	if (won)
		__sync_fetch_and_add(won, 1);
}

static __always_inline int is_empty(const struct table_header *h, __u32 set)
{
	return set == (h->depth ? EMPTY_CELL : 8 * EMPTY_CELL);
}

/* 1 + the match that wins, or 0, of a flow that its cgroup alone does not decide; remembered with a generation. Inlined for the stack's sake: 6.1 has no room for another frame. */
static __always_inline __u32 search_table(__u32 version, const struct table_header *h, __u32 generation, __u32 cgroup_set,
					  const struct flow *flow)
{
	/* Where all lines name a destination, there is nothing to find before it is known. */
	if (!flow->family && is_empty(h, h->no_dst))
		return 0;
	__u32 found = generation ? recall(generation, cgroup_set, flow) : NOT_REMEMBERED;
	if (found != NOT_REMEMBERED)
		return found;
	struct search s = {.version = version};
	s.depth = h->depth;
	s.fields = h->fields;
	s.ref[0][FIELD_CGROUP] = cgroup_set;
	find_number_sets(&s, h, flow);
	find_address_sets(&s, h, flow);
	found = first_match(&s);
	if (generation)
		remember(generation, cgroup_set, flow, found);
	return found;
}

static __always_inline int names_cgroups(const struct table_header *h)
{
	return h->fields >> FIELD_CGROUP & 1;
}

/*
 * The mark of the class of a flow by the set of its cgroup, 0 where no match
 * names one; 0: none. With the generation of the table in force the flow begins:
 * its match is hit. What a socket is at its creation, without addresses, is no flow yet.
 */
static __always_inline __u32 classify_in(__u32 version, const struct table_header *h, __u32 cgroup_set,
					 const struct flow *flow, __u32 generation)
{
	__u32 match = cgroup_set & ~SET_DECIDED;

	if (!(cgroup_set & SET_DECIDED)) {
		__u32 found = search_table(version, h, generation, cgroup_set, flow);
		if (!found)
			return 0;
		match = found - 1;
	}
	if (generation && flow->family)
		hit(version, match);
	return verdict_of(version, h, match);
}

/* The mark of the class that a flow of the current task belongs to; 0: none. Its uid is asked for where a line names one. */
static __noinline __u32 classify_task(struct flow *flow)
{
	__u32 generation = live_generation(), version = version_of(generation), set = 0;
	const struct table_header *h = header_of(version);

	if (!h)
		return 0;
	if (names_cgroups(h))
		set = find_task_cgroup_set(version, h->cgroup_levels, h->no_cgroup);
	if (h->fields >> FIELD_UID & 1 && !(set & SET_DECIDED))
		flow->uid = bpf_get_current_uid_gid();
	return classify_in(version, h, set, flow, generation);
}

/* Whether some match can hold for a packet that no hook has seen. */
static __always_inline int has_tuples(void)
{
	const struct table_header *h = header_of(version_of(live_generation()));

	return h && h->fields >> TABLE_HAS_TUPLES & 1;
}

/* The same for a packet, by the cgroup of its socket if it has one. */
static __noinline __u32 classify_packet(struct __sk_buff *skb, const struct flow *flow)
{
	__u32 generation = live_generation(), version = version_of(generation), set = 0;
	const struct table_header *h = header_of(version);

	if (!h)
		return 0;
	if (names_cgroups(h))
		set = find_packet_cgroup_set(skb, version, h->cgroup_levels, h->no_cgroup);
	return classify_in(version, h, set, flow, generation);
}

/* The same for a packet by its headers alone: it has no cgroup. */
static __noinline __u32 classify_headers(const struct flow *flow)
{
	__u32 generation = live_generation(), version = version_of(generation);
	const struct table_header *h = header_of(version);

	return h ? classify_in(version, h, names_cgroups(h) ? h->no_cgroup : 0, flow, generation) : 0;
}
#endif
