/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A cgroup is armed the moment it is made, before any process can be in it:
 * its path is read through the table's automaton, and the set that this leads
 * to becomes its entry. One that is removed loses its entry.
 */
#ifndef WAYMARK_ARM_H
#define WAYMARK_ARM_H

#include "core.h"
#include "match.h"

enum { NAME_SIZE = 256, MAX_PATH_STEPS = 1 << 17, VERSIONS = 2 };

static long (*const bpf_probe_read_kernel_str)(void *to, __u32 size, const void *from) = (void *)115;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct arming);
} armed SEC(".maps");

/*
 * The walk of a path through the automaton, one byte or one branch a step.
 * The kernel makes one cgroup at a time. It is a map so that the verifier does
 * not follow its every value.
 */
struct path_walk {
	__u64 cgroup;  /* address of the one whose path it is */
	__u32 version;
	__u32 level; /* of the name that is being read */
	__u32 last;  /* level of the last name */
	__u32 at;    /* the next byte of the name */
	__u32 ref;   /* what reads it, with its kind */
	__u32 text;  /* the next byte of a text cell */
	__u32 set;
	char name[NAME_SIZE];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct path_walk);
} path SEC(".maps");

static __always_inline void read_name(struct path_walk *w)
{
	const struct cgroup *cgroup = (const struct cgroup *)w->cgroup, *ancestor = 0;
	const struct kernfs_node *node = 0;
	const char *name = 0;

	bpf_probe_read_kernel(&ancestor, sizeof(ancestor), (const char *)&cgroup->ancestors[0] + w->level * sizeof(ancestor));
	READ(node, ancestor->kn);
	READ(name, node->name);
	bpf_probe_read_kernel_str(w->name, sizeof(w->name), name);
	w->at = 0;
}

/* The byte that is read next: of the last name the end is 0, of others '/'. */
static __always_inline __u8 next_byte(const struct path_walk *w)
{
	__u8 byte = w->name[w->at & (NAME_SIZE - 1)];

	return byte || w->level >= w->last ? byte : '/';
}

static __always_inline void advance(struct path_walk *w, __u8 byte)
{
	if (byte != '/') {
		w->at++;
		return;
	}
	w->level++;
	read_name(w);
}

/* A text has one way on, behind its last byte. */
static __always_inline long read_text(struct path_walk *w, const struct text_cell *text)
{
	__u8 byte = next_byte(w);

	if (w->text >= text->length) {
		w->ref = text->next;
		w->text = 0;
		if (w->ref >> REF_KIND_SHIFT != REF_SET)
			return 0;
		w->set = byte ? 0 : w->ref;
		return 1;
	}
	if (w->text >= TEXT_BYTES || text->bytes[w->text] != byte)
		return 1;
	w->text++;
	advance(w, byte);
	return 0;
}

static __always_inline long read_branch(struct path_walk *w, const struct table_cell *branch)
{
	__u8 byte = next_byte(w);

	w->ref = branch_entry(branch, byte);
	switch (w->ref >> REF_KIND_SHIFT) {
	case REF_SET:
		w->set = w->ref;
		return 1;
	case REF_BRANCH:
		return 0;
	}
	advance(w, byte);
	return 0;
}

/* One step; returns 1 at the end of the path, or where no line can name it any more. */
static long read_path(__u32 i, void *ctx)
{
	__u32 zero = 0;
	struct path_walk *w = bpf_map_lookup_elem(&path, &zero);
	void *table = w ? table_of(w->version) : 0;
	const struct table_cell *cell = table ? cell_at(table, w->ref & REF_CELL) : 0;

	if (!w || !cell)
		return 1;
	if (w->ref >> REF_KIND_SHIFT == REF_TEXT)
		return read_text(w, (const struct text_cell *)cell);
	return read_branch(w, cell);
}

/* How deep the cgroup of an id lies, if it is one of a cgroup's ancestors; -1 otherwise. */
__noinline int level_of(__u64 address, __u64 id)
{
	const struct cgroup *cgroup = (const struct cgroup *)address;

	for (int level = 0; level < MAX_CGROUP_LEVELS; level++) {
		__u64 ancestor = ancestor_id(cgroup, level);
		if (!ancestor)
			break;
		if (ancestor == id)
			return level;
	}
	return -1;
}

/* The set of a cgroup that some line names; 0: none does. */
__noinline __u32 find_path_set(__u64 address, __u32 version)
{
	const struct cgroup *cgroup = (const struct cgroup *)address;
	__u32 zero = 0;
	int last = 0;
	struct path_walk *w = bpf_map_lookup_elem(&path, &zero);
	void *table = table_of(version);
	const struct cgroup_start *start = table ? cell_at(table, CGROUP_CELL) : 0;

	if (!w || !start || !start->ref)
		return 0;
	READ(last, cgroup->level);
	int root = level_of(address, start->root);
	if (root < 0 || root >= last)
		return 0;
	w->cgroup = address;
	w->version = version;
	w->level = root + 1;
	w->last = last;
	w->ref = start->ref;
	w->text = 0;
	w->set = 0;
	read_name(w);
	bpf_loop(MAX_PATH_STEPS, read_path, 0, 0);
	return w->set;
}

static __always_inline int in_cgroup2(const struct cgroup *cgroup)
{
	const struct cgroup_root *root = 0;
	int hierarchy = -1;

	READ(root, cgroup->root);
	READ(hierarchy, root->hierarchy_id);
	return !hierarchy;
}

static __always_inline __u64 cgroup_id(const struct cgroup *cgroup)
{
	const struct kernfs_node *node = 0;
	__u64 id = 0;

	READ(node, cgroup->kn);
	READ(id, node->id);
	return id;
}

/*
 * Every version there is gets the entry: the one in force, and the one that
 * is being built and becomes so.
 */
static __always_inline void arm_impl(const struct cgroup *cgroup)
{
	__u32 zero = 0;
	struct arming *a = bpf_map_lookup_elem(&armed, &zero);

	if (!a || !in_cgroup2(cgroup))
		return;
	__u64 id = cgroup_id(cgroup);
	for (__u32 v = 0; v < VERSIONS; v++) {
		__u32 version = v;
		void *sets = bpf_map_lookup_elem(&cgroups, &version);
		__u32 set = sets ? find_path_set(address_of(cgroup), v) : 0;
		if (!set)
			continue;
		if (bpf_map_update_elem(sets, &id, &set, 0))
			a->failed++;
		else
			a->armed++;
	}
}

static __always_inline void disarm_impl(const struct cgroup *cgroup)
{
	__u32 zero = 0;
	struct arming *a = bpf_map_lookup_elem(&armed, &zero);

	if (!a || !in_cgroup2(cgroup))
		return;
	__u64 id = cgroup_id(cgroup);
	for (__u32 v = 0; v < VERSIONS; v++) {
		__u32 version = v;
		void *sets = bpf_map_lookup_elem(&cgroups, &version);
		if (sets)
			bpf_map_delete_elem(sets, &id);
	}
	a->removed++;
}
#endif
