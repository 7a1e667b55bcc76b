/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The search for the match that wins; the table is described in contract.h. */
#ifndef WAYMARK_SEARCH_H
#define WAYMARK_SEARCH_H

#include "contract.h"

enum { MAX_BRANCHES = 64, MAX_NODES = 1 + 15 + 225 + 3375 };

struct table_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct table_cell);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct table_map);
} tables SEC(".maps");

/* What is known of a flow. family 0: its addresses are not known yet. */
struct flow {
	__u32 family;
	__u32 iif;
	__u32 uid;
	__u32 proto;
	__u32 ports[2];
	struct words addresses[2];
} __attribute__((aligned(8)));

/*
 * The walk through all fields' sets at once. `fields` are those that some
 * match names; the others' references mean nothing.
 */
struct search {
	__u32 version;
	__u32 depth;
	__u32 fields;
	__u32 level;
	__u32 found; /* 1 + the match that wins; 0 while there is none */
	__u32 ref[MAX_DEPTH + 1][FIELDS];
	__u32 pending[MAX_DEPTH + 1];
	__u32 position[MAX_DEPTH + 1];
};

/*
 * The functions below that are not static are verified once each, on their
 * own, instead of along every path of every caller. They may not take a
 * map, so they take the version; user space reuses a version only when no
 * program that read it can be running.
 */
static __always_inline void *table_of(__u32 version)
{
	return bpf_map_lookup_elem(&tables, &version);
}

static __always_inline void *cell_at(void *table, __u32 index)
{
	return bpf_map_lookup_elem(table, &index);
}

struct descent {
	void *table;
	const struct words *value;
	__u32 word;
	__u32 ref;
};

/* The entry of a branch that holds for a value. */
static __always_inline __u32 branch_entry(const struct table_cell *branch, __u32 value)
{
	__u64 last = (__u64)value << 32 | 0xffffffff;
	__u32 at = last >= branch->word[4] ? 4 : 0;

	at += last >= branch->word[(at + 2) & 7] ? 2 : 0;
	at += last >= branch->word[(at + 1) & 7] ? 1 : 0;
	return branch->word[at & 7];
}

/* One branch of a tree; returns 1 when it led to a set. */
static long take_branch(__u32 i, struct descent *d)
{
	const struct table_cell *branch = cell_at(d->table, d->ref);

	if (!branch) {
		d->ref = 0;
		return 1;
	}
	__u32 entry = branch_entry(branch, d->value->word[d->word & 3]);
	d->ref = entry & REF_CELL;
	d->word += entry >> REF_KIND_SHIFT == REF_NEXT;
	return entry >> REF_KIND_SHIFT == REF_SET;
}

/* The set that a value leads to from a root; IPv6 walks on to the next words. */
__noinline __u32 find_set(__u32 version, __u32 root, const struct words *value)
{
	struct descent d = {.table = table_of(version), .value = value, .ref = root};

	if (!d.table || !value)
		return 0;
	bpf_loop(MAX_BRANCHES, take_branch, &d, 0);
	return d.ref;
}

__noinline __u32 find_number_set(__u32 version, __u32 root, __u32 number)
{
	struct words value = {{number}};

	return find_set(version, root, &value);
}

/* The bits that one level's references share: of words at the bottom, of children above. */
__noinline __u64 shared_bits(const struct search *s, __u32 level)
{
	__u64 bits = ~0ULL;
	void *table = s ? table_of(s->version) : 0;

	if (!table || level > MAX_DEPTH)
		return 0;
	for (__u32 i = 0; i < FIELDS; i++) {
		if (!(s->fields >> i & 1))
			continue;
		__u32 ref = s->ref[level][i];
		__u32 bottom = level == s->depth;
		const struct table_cell *cell = cell_at(table, bottom ? ref >> 3 : ref);
		if (!cell)
			return 0;
		bits &= bottom ? cell->word[ref & 7] : (__u32)cell->word[0];
	}
	return bits;
}

static __always_inline void descend(struct search *s, __u32 level, __u32 child)
{
	void *table = table_of(s->version);

	if (!table)
		return;
	for (__u32 i = 0; i < FIELDS; i++) {
		const __u32 *node = cell_at(table, s->ref[level][i]);
		s->ref[level + 1][i] = node ? node[(child + 1) & 15] : 0;
	}
	s->position[level + 1] = s->position[level] * NODE_CHILDREN + child;
}

static __always_inline __u32 lowest_bit(__u64 bits)
{
	return __builtin_ctzll(bits);
}

/* One step down or back, lowest match first; returns 1 at the end of the walk. */
static long step(__u32 i, struct search **walk)
{
	struct search *s = *walk;
	__u32 level = s->level;

	if (level >= MAX_DEPTH)
		return 1;
	if (!s->pending[level]) {
		s->level = level - 1;
		return !level;
	}
	__u32 child = lowest_bit(s->pending[level]);
	s->pending[level] &= s->pending[level] - 1;
	descend(s, level, child);

	__u64 bits = shared_bits(s, level + 1);
	if (!bits)
		return 0;
	if (level + 1 < s->depth) {
		s->pending[level + 1] = bits;
		s->level = level + 1;
		return 0;
	}
	s->found = 1 + s->position[level + 1] * WORD_BITS + lowest_bit(bits);
	return 1;
}

/* 1 + the match that wins, or 0. */
__noinline __u32 first_match(struct search *s)
{
	__u64 bits = shared_bits(s, 0);

	if (!s || !bits)
		return 0;
	if (!s->depth)
		return 1 + lowest_bit(bits);
	s->pending[0] = bits;
	bpf_loop(2 * MAX_NODES, step, &s, 0);
	return s->found;
}

static __always_inline void find_address_sets(struct search *s, const struct table_header *h, const struct flow *flow)
{
	__u32 six = flow->family == AF_INET6;

	if (s->fields >> FIELD_SRC & 1)
		s->ref[0][FIELD_SRC] = flow->family ? find_set(s->version, h->addresses[six][0], &flow->addresses[0]) : h->no_src;
	if (s->fields >> FIELD_DST & 1)
		s->ref[0][FIELD_DST] = flow->family ? find_set(s->version, h->addresses[six][1], &flow->addresses[1]) : h->no_dst;
}

static __always_inline void find_number_sets(struct search *s, const struct table_header *h, const struct flow *flow)
{
	if (s->fields >> FIELD_UID & 1)
		s->ref[0][FIELD_UID] = find_number_set(s->version, h->uid, flow->uid);
	if (s->fields >> FIELD_PROTO & 1)
		s->ref[0][FIELD_PROTO] = find_number_set(s->version, h->proto, flow->proto);
	if (s->fields >> FIELD_SPORT & 1)
		s->ref[0][FIELD_SPORT] = find_number_set(s->version, h->ports[0], flow->ports[0]);
	if (s->fields >> FIELD_DPORT & 1)
		s->ref[0][FIELD_DPORT] = find_number_set(s->version, h->ports[1], flow->ports[1]);
	if (s->fields >> FIELD_IIF & 1)
		s->ref[0][FIELD_IIF] = find_number_set(s->version, h->iif, flow->iif);
}
#endif
