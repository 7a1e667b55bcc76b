/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where everything is counted: a line for each class and uplink, and how long things took. */
#ifndef WAYMARK_COUNT_H
#define WAYMARK_COUNT_H

#include "mark.h"
#include "octave.h"
#include "socket.h"
#include "switches.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1); /* set at load: slots * uplink_limit */
	__type(key, __u32);
	__type(value, struct class_counters);
} counters SEC(".maps");

/* No program's: user space keeps here what instances before this one counted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* set at load: as many as counters */
	__type(key, __u32);
	__type(value, struct class_counters);
} earlier SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TIME_OCTAVES);
	__type(key, struct time_key);
	__type(value, struct time_octave);
} times SEC(".maps");

/* The class of the number that a mark carries; 0: there is none. */
static __always_inline const struct class_entry *own_class(__u32 mark)
{
	__u32 number = class_number(mark);
	const struct class_entry *class = bpf_map_lookup_elem(&classes, &number);

	return class && class->flags & CLASS_IN_USE ? class : 0;
}

/* The same, or what stands for no class. */
static __always_inline const struct class_entry *class_of(__u32 mark)
{
	const struct class_entry *class = own_class(mark);
	__u32 none = 0;

	return class ? class : bpf_map_lookup_elem(&classes, &none);
}

static __always_inline struct class_counters *counters_of(const struct class_entry *class, __u32 number)
{
	__u32 line = class->slot * uplink_limit + number;

	return bpf_map_lookup_elem(&counters, &line);
}

static __always_inline int is_unreachable(int error)
{
	return error == ENETUNREACH || error == EHOSTUNREACH || error == ENETDOWN || error == EACCES || error == EPERM;
}

static __always_inline __u32 segments_of(const struct __sk_buff *skb)
{
	return skb->gso_segs ? skb->gso_segs : 1;
}

/* The first uplink that a class may leave by. */
__noinline __u32 first_way(const struct class_entry *class)
{
	if (!class)
		return NO_UPLINK;
	for (int i = 0; i < MAX_ROUTE; i++) {
		if (i >= class->hops)
			break;
		__u32 index = class->route[i];
		const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &index);
		if (u && u->flags & UPLINK_USABLE)
			return index;
	}
	return class->hops ? class->route[0] : NO_UPLINK;
}

/* The number of the uplink that is an interface, most likely the first of the class; NO_UPLINK: none is. */
static __always_inline __u32 uplink_of(const struct class_entry *class, __u32 ifindex)
{
	__u32 first = class->route[0];
	const struct uplink_entry *u = bpf_map_lookup_elem(&uplinks, &first);

	if (unlikely(!u || u->ifindex != ifindex))
		return uplink_behind(ifindex);
	return first;
}

/* The line of what concerns a class and no packet: of the first uplink that it may leave by. */
static __always_inline struct class_counters *first_line(const struct class_entry *class)
{
	__u32 number = first_way(class);

	return number < uplink_limit ? counters_of(class, number) : 0;
}

/* An octave that nothing was counted in yet. */
static __noinline struct time_octave *first_of_octave(const struct time_key *key)
{
	struct time_octave none = {};

	bpf_map_update_elem(&times, key, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&times, key);
}

/* Counts a time. One for which there is no room is lost, and never another's. */
static __noinline void observe(__u32 slot, __u32 number, __u32 kind, __u64 ns, __u32 times_over)
{
	__u32 part = 0;
	struct time_key key = {.slot = slot, .uplink = number, .kind = kind, .octave = octave_of(ns, &part)};
	struct time_octave *o = bpf_map_lookup_elem(&times, &key);

	if (unlikely(!o))
		o = first_of_octave(&key);
	if (o)
		__sync_fetch_and_add(&o->count[part & 7], times_over);
}
#endif
