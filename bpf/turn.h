/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The first packet that leaves by another uplink in the place of one that failed. */
#ifndef WAYMARK_TURN_H
#define WAYMARK_TURN_H

#include "leave.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_UPLINKS);
	__type(key, __u32);
	__type(value, struct turn);
} turns SEC(".maps");

/* Notes that a packet leaves here in place of the uplinks before this one in its class's route, where that is waited for. */
static __noinline int note_turn(const struct class_entry *class)
{
	for (int i = 0; i < MAX_ROUTE; i++) {
		if (i >= class->hops || class->route[i] == uplink)
			break;
		__u32 index = class->route[i];
		struct turn *t = bpf_map_lookup_elem(&turns, &index);
		if (t && t->awaited) {
			t->ns = bpf_ktime_get_ns();
			t->awaited = 0;
		}
	}
	return 0;
}

#endif
