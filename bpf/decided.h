/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What tc egress last decided, on each CPU: the watch has the map of the instance that it watches. */
#ifndef WAYMARK_DECIDED_H
#define WAYMARK_DECIDED_H

#include "contract.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct decision);
} decided SEC(".maps");

#endif
